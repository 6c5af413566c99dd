// WordPiece: from the left, the longest token that fits. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_MODELS_WORD_PIECE_MODEL_H_
#define HALCYON_PIPELINE_TOKENIZER_MODELS_WORD_PIECE_MODEL_H_

#include <memory>
#include <string>

#include "pipeline/tokenizer/models/model.h"

namespace halcyon::pipeline {

struct WordPieceOptions {
  uint32_t unknown = 0;  // in place of a piece that is no sequence of tokens, or is too long
  std::string continuing_prefix = "##";  // of tokens that do not begin a piece
  uint64_t characters_max = 100;
};

std::unique_ptr<const Model> MakeWordPieceModel(const TokenIds& tokens,
                                                const WordPieceOptions& options);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_MODELS_WORD_PIECE_MODEL_H_
