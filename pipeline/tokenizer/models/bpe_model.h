// Byte-pair encoding over characters, with all options of tokenizer.json. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_MODELS_BPE_MODEL_H_
#define HALCYON_PIPELINE_TOKENIZER_MODELS_BPE_MODEL_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/tokenizer/models/model.h"

namespace halcyon::pipeline {

struct BpeOptions {
  std::optional<uint32_t> unknown;  // without it, unknown characters are left out
  bool fuse_unknown = false;        // one for a run of unknown characters
  bool byte_fallback = false;
  bool ignore_merges = false;  // a piece that is a token as a whole is not merged
  std::string continuing_prefix, end_suffix;
};

// Two tokens, in the order of their ranks.
using TokenPair = std::pair<std::string, std::string>;

// kInvalidArgument: a merge of what are no tokens, or one that was given before.
absl::StatusOr<std::unique_ptr<const Model>> MakeBpeModel(TokenIds tokens,
                                                          const std::vector<TokenPair>& merges,
                                                          BpeOptions options);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_MODELS_BPE_MODEL_H_
