// `halcyon eval`: `halcyon` finds the artifacts and executes this.
#ifndef HALCYON_WORKER_COMMANDS_EVAL_COMMAND_H_
#define HALCYON_WORKER_COMMANDS_EVAL_COMMAND_H_

#include <cstdint>
#include <string>

#include "base/status.h"
#include "worker/inputs/artifacts.h"

namespace halcyon::worker {

struct EvalCommand {
  // tokenizer, tokens, and the networks to evaluate (worker/scoring/model_report.h)
  ArtifactInputs inputs;
  int64_t windows = 128;
  int64_t samples = 8;
  uint64_t seed = 1;
  std::string device = "auto";        // or cpu, cuda
  std::string protocol = "pairwise";  // or two-samples
  double noise_std = 0.3;
  bool json = false;
};
// Prints the report. kInvalidArgument: an option out of its range, artifacts that do not belong
// together.
absl::Status RunEval(const EvalCommand& command);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_COMMANDS_EVAL_COMMAND_H_
