// The Unigram model of tokenizer.json: the segmentation of the highest sum of scores. Internal to
// pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_MODELS_UNIGRAM_MODEL_H_
#define HALCYON_PIPELINE_TOKENIZER_MODELS_UNIGRAM_MODEL_H_

#include <memory>
#include <vector>

#include "pipeline/tokenizer/models/model.h"

namespace halcyon::pipeline {

struct ScoredToken {
  std::string token;
  double score = 0;
  bool in_text = true;  // false: a special token, which no text becomes
};

// `tokens` by id. `unknown` stands for characters that no token holds, one for a run of them,
// unless `byte_fallback` gives each of their bytes a token. kInvalidArgument: an empty vocabulary,
// a token twice.
absl::StatusOr<std::unique_ptr<const Model>> MakeUnigramModel(
    const std::vector<ScoredToken>& tokens, uint32_t unknown, bool byte_fallback);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_MODELS_UNIGRAM_MODEL_H_
