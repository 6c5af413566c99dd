// Between the shards in memory and the checkpoints on disk. Every function here is collective.
#ifndef HALCYON_WORKER_TRAINING_CHECKPOINTING_H_
#define HALCYON_WORKER_TRAINING_CHECKPOINTING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "cluster/collectives.h"
#include "storage/checkpoint.h"
#include "worker/fsdp/fsdp.h"

namespace halcyon::worker {

// Every rank's status becomes the first bad one in rank order, so that all take the same way.
absl::Status Agree(cluster::Collectives& collectives, const absl::Status& mine);

// Writes this rank's shard, waits for all, and lets rank 0 commit. `manifest` comes with everything
// but units and shards filled in. All ranks return the same status.
absl::Status SaveCheckpoint(storage::CheckpointStore& store, Fsdp& fsdp,
                            cluster::Collectives& collectives, storage::CheckpointManifest manifest,
                            uint64_t keep);

struct Resumed {
  uint64_t step = 0;  // 0: from the start
  storage::CheckpointManifest manifest;
  std::vector<std::string> rejected;
};
// Rank 0 finds the newest checkpoint that verifies; all load their part of it, whatever world size
// wrote it. Where none was ever committed the shards stay as they are and step 0 is returned.
// kFailedPrecondition: the checkpoint is of another stage fingerprint or of other parameters; none
// of those that were committed is whole; or one cannot be read.
absl::StatusOr<Resumed> RestoreCheckpoint(storage::CheckpointStore& store, Fsdp& fsdp,
                                          cluster::Collectives& collectives,
                                          const std::string& fingerprint);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TRAINING_CHECKPOINTING_H_
