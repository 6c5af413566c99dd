// Byte-level BPE as a tokenizer.json, in one form, which other software reads as well. Special
// tokens are both in the vocabulary and in added_tokens. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_JSON_BYTE_BPE_JSON_H_
#define HALCYON_PIPELINE_TOKENIZER_JSON_BYTE_BPE_JSON_H_

#include <string>

#include "pipeline/tokenizer/bpe_tokenizer.h"

namespace halcyon::pipeline {

std::string WriteTokenizerJson(const BpeVocabulary& vocabulary);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_JSON_BYTE_BPE_JSON_H_
