// `halcyon-worker latents-rates`: what data.latents = "auto" is decided by.
#ifndef HALCYON_WORKER_COMMANDS_LATENTS_RATES_COMMAND_H_
#define HALCYON_WORKER_COMMANDS_LATENTS_RATES_COMMAND_H_

#include <cstdint>
#include <string>

#include "base/status.h"

namespace halcyon::worker {

struct LatentsRatesCommand {
  std::string spec_path;     // a job's resolved file
  int64_t vocab_size = 0;    // of its tokenizer
  uint64_t text_chunks = 0;  // that are to be encoded
};

// Measures on launch.device, with an autoencoder of the job's shape and random weights, how many
// chunks a second an agent encodes (on one thread) and a rank (on launch.threads) in
// data.encoding_precision, and how fast a rank multiplies large matrices of train.precision. Prints
// {"device", "is_gpu", "agent_chunks", "rank_chunks", "rank_flops"}.
absl::Status RunLatentsRates(const LatentsRatesCommand& command);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_COMMANDS_LATENTS_RATES_COMMAND_H_
