// The normalization of a SentencePiece model. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_SENTENCEPIECE_CHARSMAP_H_
#define HALCYON_PIPELINE_TOKENIZER_SENTENCEPIECE_CHARSMAP_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/tokenizer/byte_trie.h"
#include "pipeline/tokenizer/sentencepiece/model_file.h"

namespace halcyon::pipeline {

// The space of pieces, U+2581.
inline constexpr std::string_view kSpaceSymbol = "\u2581";

// Immutable; thread-safe.
class SentencePieceNormalizer {
 public:
  // kInvalidArgument: damaged rules.
  static absl::StatusOr<SentencePieceNormalizer> Create(const SentencePieceModel& model);

  // REQUIRES: valid UTF-8. `kept`: what no rule changes, the longest at each place.
  std::string Normalize(std::string_view text, const ByteTrie& kept) const;

 private:
  struct Prefix {
    std::string_view normalized;
    size_t bytes;  // of the text
  };
  Prefix NormalizePrefix(std::string_view text, const ByteTrie& kept) const;
  // 0 bytes: no rule applies.
  Prefix LongestRule(std::string_view text) const;

  // A double array of darts-clone, and the replacements that its values point into, each ended by a
  // zero byte.
  std::vector<uint32_t> units_;
  std::string replacements_;
  bool add_dummy_prefix_ = true;
  bool remove_extra_spaces_ = true;
  bool space_as_suffix_ = false;
  std::string_view space_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_SENTENCEPIECE_CHARSMAP_H_
