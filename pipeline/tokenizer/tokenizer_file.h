// Hugging Face tokenizer.json: what Tokenizer::Load reads and ToJson writes. Internal to pipeline/.
//
// Read: model BPE without dropout, prefixes, suffixes or byte fallback; merges as "a b" or
// ["a", "b"]; ignore_merges; no normaliser; a ByteLevel pre-tokenizer with its own expression
// (GPT-2's), or one Split by an expression followed by ByteLevel without; added tokens that are
// special. Post-processors and decoders are not looked at: nothing is added to text, and tokens
// are bytes. All else is refused by name, since ids would silently differ.
//
// Written: the same in one form. Special tokens are both in the vocabulary and in added_tokens.
#ifndef HALCYON_PIPELINE_TOKENIZER_TOKENIZER_FILE_H_
#define HALCYON_PIPELINE_TOKENIZER_TOKENIZER_FILE_H_

#include <string>
#include <string_view>

#include "base/status.h"
#include "pipeline/tokenizer/bpe_tokenizer.h"

namespace halcyon::pipeline {

// kInvalidArgument: not JSON, or what is not supported and where in the document.
absl::StatusOr<BpeVocabulary> ParseTokenizerJson(std::string_view json);

std::string WriteTokenizerJson(const BpeVocabulary& vocabulary);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_TOKENIZER_FILE_H_
