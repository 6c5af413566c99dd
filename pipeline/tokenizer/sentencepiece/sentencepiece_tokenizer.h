// SentencePiece models, BPE and Unigram. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_SENTENCEPIECE_SENTENCEPIECE_TOKENIZER_H_
#define HALCYON_PIPELINE_TOKENIZER_SENTENCEPIECE_SENTENCEPIECE_TOKENIZER_H_

#include <memory>
#include <string_view>

#include "pipeline/tokenizer.h"

namespace halcyon::pipeline {

// Control, unknown and byte pieces are never matched in text. Control pieces have no text when ids
// are decoded, whether specials are kept or not. kInvalidArgument: what the reference refuses, or
// what is not supported.
absl::StatusOr<std::shared_ptr<const Tokenizer>> ReadSentencePiece(std::string_view bytes);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_SENTENCEPIECE_SENTENCEPIECE_TOKENIZER_H_
