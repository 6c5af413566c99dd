// Sets of code points as the reference tokenizers have them, from properties.txt. Internal to
// pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_UNICODE_CODE_POINT_SET_H_
#define HALCYON_PIPELINE_TOKENIZER_UNICODE_CODE_POINT_SET_H_

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace halcyon::pipeline {

inline constexpr char32_t kCodePoints = 0x110000;

class CodePointSet {
 public:
  CodePointSet() : words_(kCodePoints / 64) {}

  bool Has(char32_t point) const { return words_[point >> 6] >> (point & 63) & 1; }
  void Add(char32_t first, char32_t last);
  // What is in it and not in `other`, as ranges of first and last.
  std::vector<std::pair<char32_t, char32_t>> Without(const CodePointSet& other) const;

 private:
  std::vector<uint64_t> words_;
};

// A general category ("Lu", "Cn"), a group of them ("L"), or a name that properties.txt has: what
// they hold there is what tokenizers 0.23 and tiktoken 0.14 take them for. nullptr: no such set.
// The set lives until the program ends. Thread-safe.
const CodePointSet* FindCodePointSet(std::string_view name);

// REQUIRES: there is such a set.
const CodePointSet& CodePointSetOf(std::string_view name);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_UNICODE_CODE_POINT_SET_H_
