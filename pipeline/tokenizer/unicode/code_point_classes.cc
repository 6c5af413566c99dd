#include "pipeline/tokenizer/unicode/code_point_classes.h"

#include <map>
#include <utility>

namespace halcyon::pipeline {

const CodePointClasses& CodePointClasses::Get() {
  static const auto* const classes = new CodePointClasses;
  return *classes;
}

CodePointClasses::CodePointClasses() {
  static constexpr std::pair<const char*, CodePointClass> kSets[] = {
      {"Lu", kUpper},   {"Lt", kUpper}, {"Ll", kLower}, {"Lm", kUncased},
      {"Lo", kUncased}, {"M", kMark},   {"N", kNumber}, {"White_Space", kWhiteSpace}};
  std::vector<Block> all(kCodePoints / kBlockPoints);
  for (const auto& [name, flag] : kSets) {
    for (const auto& [first, last] : CodePointSetOf(name).Without({})) {
      for (char32_t point = first; point <= last; ++point) {
        all[point / kBlockPoints][point % kBlockPoints] |= flag;
      }
    }
  }
  all[0]['\r'] |= kLineEnd;
  all[0]['\n'] |= kLineEnd;
  std::map<Block, uint16_t> known;
  for (size_t i = 0; i < all.size(); ++i) {
    const auto [entry, is_new] = known.emplace(all[i], static_cast<uint16_t>(blocks_.size()));
    if (is_new) blocks_.push_back(all[i]);
    block_of_[i] = entry->second;
  }
}

}  // namespace halcyon::pipeline
