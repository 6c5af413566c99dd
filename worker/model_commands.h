// `halcyon generate` and `halcyon eval`: `halcyon` finds the artifacts and hands over to these.
#ifndef HALCYON_WORKER_MODEL_COMMANDS_H_
#define HALCYON_WORKER_MODEL_COMMANDS_H_

#include <cstdint>
#include <string>

#include "base/status.h"
#include "worker/artifacts.h"

namespace halcyon::worker {

struct GenerateCommand {
  ArtifactPaths paths;  // tokenizer, autoencoder, model
  std::string prompt;
  double temperature = 0.5;
  int64_t chunks = 64;
  int64_t draws = 100;
  int64_t texts = 1;
  uint64_t seed = 1;
  bool json = false;
};
// Streams the prompt and what follows to stdout; with `json` one object a text.
absl::Status RunGenerate(const GenerateCommand& command);

struct EvalCommand {
  ArtifactPaths paths;  // tokenizer, tokens, autoencoder, latents, model
  int64_t windows = 128;
  int64_t samples = 8;
  uint64_t seed = 1;
  bool json = false;
};
absl::Status RunEval(const EvalCommand& command);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_MODEL_COMMANDS_H_
