// Reads the stages of a tokenizer.json. Each refuses what it does not know by its path in the file,
// with kInvalidArgument. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_JSON_STAGE_READERS_H_
#define HALCYON_PIPELINE_TOKENIZER_JSON_STAGE_READERS_H_

#include <optional>
#include <string>
#include <vector>

#include "pipeline/tokenizer/added_tokens.h"
#include "pipeline/tokenizer/decoders.h"
#include "pipeline/tokenizer/json/json_node.h"
#include "pipeline/tokenizer/models/bpe_model.h"
#include "pipeline/tokenizer/normalizers.h"
#include "pipeline/tokenizer/pre_tokenizers.h"

namespace halcyon::pipeline {

// {"String": "x"} or {"Regex": "x"}.
absl::StatusOr<SpanPattern> ReadPattern(const JsonNode& node);

struct ReadNormalizers {
  std::vector<Normalizer> steps;
  // One may take away what a text begins with, so that what is left does not begin where it did.
  bool may_remove_front = false;
};
absl::StatusOr<ReadNormalizers> ReadNormalizer(const JsonNode& node);

struct ReadPreTokenizers {
  std::vector<PreTokenizer> steps;
  // When all they do is to cut by this expression and to spell the bytes.
  std::optional<std::string> byte_level_regex;
  bool looks_at_start = false;  // one does something else at the start of a document
};
absl::StatusOr<ReadPreTokenizers> ReadPreTokenizer(const JsonNode& node);

struct ReadDecoders {
  std::vector<Decoder> steps;
  bool is_byte_level = false;  // ByteLevel and nothing else
};
absl::StatusOr<ReadDecoders> ReadDecoder(const JsonNode& node);

struct ReadModel {
  std::vector<std::string> tokens;     // by id; "": no token has it
  std::unique_ptr<const Model> model;  // null for BPE, which is made of what follows
  TokenIds text_tokens;                // all but the special ones
  std::vector<TokenPair> merges;
  BpeOptions bpe;
};
// `added` has the special tokens, which no text becomes.
absl::StatusOr<ReadModel> ReadModelNode(const JsonNode& node, const std::vector<AddedToken>& added);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_JSON_STAGE_READERS_H_
