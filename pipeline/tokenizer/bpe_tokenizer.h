// Byte-level BPE whose pieces are cut by one expression: what is trained here, and the fast way
// through the files of that form. Internal to pipeline/: others use tokenizer.h.
#ifndef HALCYON_PIPELINE_TOKENIZER_BPE_TOKENIZER_H_
#define HALCYON_PIPELINE_TOKENIZER_BPE_TOKENIZER_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/status.h"
#include "pipeline/tokenizer/byte_merges.h"
#include "pipeline/tokenizer/encodable_tokenizer.h"
#include "pipeline/tokenizer/split_pattern.h"

namespace halcyon::pipeline {

struct BpeMerge {
  uint32_t left, right, result;  // ids; the bytes of result are those of left, then right
};

struct BpeVocabulary {
  // By id: bytes, or the name of a special token; empty where no token has the id.
  std::vector<std::string> tokens;
  std::vector<bool> special;     // by id
  std::vector<BpeMerge> merges;  // by rank, the first is done first
  // A merge ranks as its result's id, as tiktoken has it; `merges` are then in any order.
  bool merges_rank_by_result = false;
  std::string regex;  // of the pre-tokenizer
  RegexDialect dialect = RegexDialect::kOniguruma;
  bool ignore_merges = false;  // a piece that is a token as a whole is not merged
  uint32_t end_of_text = 0;
  uint32_t padding = 0;
};

class BpeTokenizer : public EncodableTokenizer, public std::enable_shared_from_this<BpeTokenizer> {
 public:
  // kInvalidArgument: an id out of range, a byte without a token, two tokens of the same bytes, a
  // merge that does not fit its result, a bad expression.
  static absl::StatusOr<std::shared_ptr<const BpeTokenizer>> Create(BpeVocabulary vocabulary);

  uint32_t vocab_size() const override { return static_cast<uint32_t>(vocabulary_.tokens.size()); }
  bool Has(uint32_t id) const override {
    return id < vocab_size() && !vocabulary_.tokens[id].empty();
  }
  uint32_t end_of_text() const override { return vocabulary_.end_of_text; }
  uint32_t padding() const override { return vocabulary_.padding; }
  std::string_view Bytes(uint32_t id) const override;
  absl::StatusOr<std::string> Decode(std::span<const uint32_t> ids,
                                     bool keep_special) const override;
  std::string ToJson() const override;

  std::unique_ptr<Encoder> NewEncoder() const override;

  const ByteMerges& merges() const { return *merges_; }
  uint32_t IdOfByte(uint8_t byte) const { return id_of_byte_[byte]; }
  // The token that a whole piece is and that its merges do not lead to, where the vocabulary
  // ignores merges then.
  const uint32_t* FindWhole(std::string_view piece) const;
  const BpeVocabulary& vocabulary() const { return vocabulary_; }
  const SpanPattern& pattern() const { return pattern_; }

 private:
  BpeTokenizer() = default;
  absl::Status IndexTokens();
  absl::Status IndexMerges();
  void IndexWholes();

  BpeVocabulary vocabulary_;
  SpanPattern pattern_;
  std::array<uint32_t, 256> id_of_byte_{};
  absl::flat_hash_map<std::string_view, uint32_t> wholes_;  // that FindWhole finds
  std::optional<ByteMerges> merges_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_BPE_TOKENIZER_H_
