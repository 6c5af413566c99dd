// `halcyon generate`: `halcyon` finds the artifacts and executes this.
#ifndef HALCYON_WORKER_COMMANDS_GENERATE_COMMAND_H_
#define HALCYON_WORKER_COMMANDS_GENERATE_COMMAND_H_

#include <cstdint>
#include <string>

#include "base/status.h"
#include "worker/inputs/artifacts.h"

namespace halcyon::worker {

struct GenerateCommand {
  ArtifactInputs inputs;    // tokenizer, model, and but for a baseline autoencoder
  std::string prompt;       // or:
  std::string prompt_file;  // whose bytes are the prompt
  double temperature = 0.5;
  std::string algorithm = "batch";  // or exact
  int64_t draws = 200;
  int64_t max_draws = 4096;
  int64_t chunks = 0;  // of a text, at most; or:
  int64_t tokens = 0;  // both 0: kDefaultTokens
  int64_t texts = 1;
  int64_t batch = 16;  // texts at a time
  uint64_t seed = 1;
  std::string device = "auto";  // or cpu, cuda
  bool json = false;
  bool verbose = false;  // speed to stderr, as on a terminal

  static constexpr int64_t kDefaultTokens = 256;
};
// Prints the prompt and what follows to stdout, a single text as it comes; with `json` one object a
// text: {"prompt", "text", "tokens", "seconds", "tokens_per_second", "seconds_to_first_token",
// "steps", "draws", "steps_at_max_draws", "prefix_missed", "ended": "end_of_text" | "length"}.
absl::Status RunGenerate(const GenerateCommand& command);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_COMMANDS_GENERATE_COMMAND_H_
