// From the shards of a gang to the finished network's folder (worker/inputs/network_file.h).
#ifndef HALCYON_WORKER_TRAINING_GATHERED_NETWORK_H_
#define HALCYON_WORKER_TRAINING_GATHERED_NETWORK_H_

#include <cstdint>
#include <map>
#include <string>

#include "base/env.h"
#include "base/status.h"
#include "cluster/collectives.h"
#include "worker/fsdp/fsdp.h"

namespace halcyon::worker {

struct WrittenNetwork {
  std::string content_digest;  // SHA-256 of model.safetensors
  uint64_t bytes = 0;
};

// Collective. Gathers unit by unit; rank 0 writes the folder `dir`, replacing what was there,
// synced. Other ranks return an empty result.
absl::StatusOr<WrittenNetwork> WriteNetwork(Fsdp& fsdp, cluster::Collectives& collectives, Env& env,
                                            const std::string& dir,
                                            const std::map<std::string, std::string>& metadata,
                                            const std::string& spec_toml);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TRAINING_GATHERED_NETWORK_H_
