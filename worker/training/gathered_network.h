// From the shards of a gang to the finished network's folder (worker/inputs/network_file.h).
#ifndef HALCYON_WORKER_TRAINING_GATHERED_NETWORK_H_
#define HALCYON_WORKER_TRAINING_GATHERED_NETWORK_H_

#include <cstdint>
#include <map>
#include <string>

#include "base/env.h"
#include "base/status.h"
#include "cluster/collectives.h"
#include "storage/weights/weights_index.h"
#include "worker/fsdp/fsdp.h"

namespace halcyon::worker {

struct NetworkOutput {
  std::string dir;
  std::map<std::string, std::string> metadata;
  std::string spec_toml;
  uint64_t shard_bytes_max = storage::kShardBytesMax;
};

struct WrittenNetwork {
  std::string content_digest;  // storage::WeightsDigest
  uint64_t bytes = 0;          // of the files that hold the tensors
};

// Collective. Writes the folder, replacing what was there, synced. Units are gathered in the order
// in which their tensors lie in the files; the files are shared out over the ranks, and the rank of
// a file appends the tensors as they come. So no rank holds more than one unit whole, and the bytes
// depend on neither the number of ranks nor the sharding. All ranks return the same; after an error
// the folder is no artifact.
absl::StatusOr<WrittenNetwork> WriteNetwork(Fsdp& fsdp, cluster::Collectives& collectives, Env& env,
                                            const NetworkOutput& output);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TRAINING_GATHERED_NETWORK_H_
