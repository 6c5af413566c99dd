// `halcyon generate`: `halcyon` finds the artifacts and hands over to this.
#ifndef HALCYON_WORKER_GENERATE_COMMAND_H_
#define HALCYON_WORKER_GENERATE_COMMAND_H_

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

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_GENERATE_COMMAND_H_
