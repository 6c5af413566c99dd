// A tokenizer of stages: added tokens, normalizers, pre-tokenizers, a model, decoders. Internal to
// pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_STAGED_TOKENIZER_H_
#define HALCYON_PIPELINE_TOKENIZER_STAGED_TOKENIZER_H_

#include <memory>
#include <string>
#include <vector>

#include "pipeline/tokenizer/added_tokens.h"
#include "pipeline/tokenizer/decoders.h"
#include "pipeline/tokenizer/encodable_tokenizer.h"
#include "pipeline/tokenizer/models/model.h"
#include "pipeline/tokenizer/normalizers.h"
#include "pipeline/tokenizer/pre_tokenizers.h"

namespace halcyon::pipeline {

struct TokenizerStages {
  // By id, as the model has them or as they were added; empty where no token has the id.
  std::vector<std::string> tokens;
  std::vector<bool> special;  // by id
  std::vector<AddedToken> added;
  std::vector<Normalizer> normalizers;
  std::vector<PreTokenizer> pre_tokenizers;
  std::shared_ptr<const Model> model;
  std::vector<Decoder> decoders;
  std::string separator;  // put between decoded tokens
  uint32_t end_of_text = 0;
  uint32_t padding = 0;
  std::string json;  // the file
};

class StagedTokenizer : public EncodableTokenizer,
                        public std::enable_shared_from_this<StagedTokenizer> {
 public:
  // kInvalidArgument: added tokens that cannot be told apart.
  static absl::StatusOr<std::shared_ptr<const StagedTokenizer>> Create(TokenizerStages stages);

  uint32_t vocab_size() const override { return static_cast<uint32_t>(stages_.tokens.size()); }
  bool Has(uint32_t id) const override { return id < vocab_size() && !stages_.tokens[id].empty(); }
  uint32_t end_of_text() const override { return stages_.end_of_text; }
  uint32_t padding() const override { return stages_.padding; }
  std::string_view Bytes(uint32_t id) const override;
  absl::StatusOr<std::string> Decode(std::span<const uint32_t> ids,
                                     bool keep_special) const override;
  std::string ToJson() const override { return stages_.json; }
  std::unique_ptr<Encoder> NewEncoder() const override;

 private:
  friend class StagedEncoder;
  explicit StagedTokenizer(TokenizerStages stages) : stages_(std::move(stages)) {}
  std::string Join(std::vector<std::string> tokens) const;

  TokenizerStages stages_;
  AddedTokenMatcher in_original_, in_normalized_;
  std::vector<std::string> decoder_tokens_;  // by id, as the decoders are given them
  std::vector<std::string> bytes_;           // by id
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_STAGED_TOKENIZER_H_
