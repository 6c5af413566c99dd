// Tokenizers that were not read from a tokenizer.json, as JSON: artifacts hold one kind of file.
// Internal to pipeline/.
//
// {"halcyon_tokenizer": 1, "kind": "tiktoken", "ranks": the text, "pattern": the expression,
//  "special_tokens": {name: id}} or {"halcyon_tokenizer": 1, "kind": "sentencepiece", "model":
//  base64}
#ifndef HALCYON_PIPELINE_TOKENIZER_STORED_JSON_H_
#define HALCYON_PIPELINE_TOKENIZER_STORED_JSON_H_

#include <memory>
#include <string>
#include <string_view>

#include "pipeline/tokenizer.h"
#include "pipeline/tokenizer/bpe_tokenizer.h"

namespace halcyon::pipeline {

std::string StoreSentencePiece(std::string_view model);
// REQUIRES: merges that rank by their result.
std::string StoreTiktoken(const BpeVocabulary& vocabulary);

bool IsStored(std::string_view json);
// kInvalidArgument: a version or a kind that is not known.
absl::StatusOr<std::shared_ptr<const Tokenizer>> ReadStored(std::string_view json);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_STORED_JSON_H_
