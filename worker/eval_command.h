// `halcyon eval`: `halcyon` finds the artifacts and hands over to this.
#ifndef HALCYON_WORKER_EVAL_COMMAND_H_
#define HALCYON_WORKER_EVAL_COMMAND_H_

#include <cstdint>

#include "base/status.h"
#include "worker/artifacts.h"

namespace halcyon::worker {

struct EvalCommand {
  ArtifactPaths paths;  // tokenizer, tokens, autoencoder, latents, model
  int64_t windows = 128;
  int64_t samples = 8;
  uint64_t seed = 1;
  bool json = false;
};
absl::Status RunEval(const EvalCommand& command);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_EVAL_COMMAND_H_
