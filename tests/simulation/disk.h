// What outlives every process: the state folder, as far as commits depend on it. An operation is
// whole or did not happen; a real disk's halves are the matter of tests/storage/.
#ifndef HALCYON_TESTS_SIMULATION_DISK_H_
#define HALCYON_TESTS_SIMULATION_DISK_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "base/ids.h"
#include "base/status.h"
#include "storage/checkpoint.h"

namespace halcyon::simulation {

struct Disk {
  // Of one stage, by its fingerprint.
  struct Stage {
    std::map<uint32_t, uint64_t> shards;                  // ingested, with the fence
    std::set<std::pair<uint32_t, uint64_t>> shard_files;  // whole, by shard and fence
    storage::WriterFence fence;                           // of the checkpoints
    uint64_t newest_step = 0;                             // committed
    uint64_t claim = 0;                                   // the last
  };

  absl::Status Room() const {
    return is_full ? ResourceExhausted("No space left on device") : absl::OkStatus();
  }
  // As storage::CheckpointStore::Fence: raises the fence, or is kAborted when it stands higher.
  absl::Status Fence(const std::string& fingerprint, const storage::WriterFence& writer) {
    RETURN_IF_ERROR(CheckFence(fingerprint, writer));
    RETURN_IF_ERROR(Room());
    stages[fingerprint].fence = writer;
    return absl::OkStatus();
  }
  absl::Status CheckFence(const std::string& fingerprint, const storage::WriterFence& writer) {
    const storage::WriterFence& fence = stages[fingerprint].fence;
    if (fence <= writer) return absl::OkStatus();
    return Aborted("the checkpoints belong to " + fence.ToString());
  }

  std::map<std::string, Stage> stages;
  std::set<std::string> artifacts;  // installed, by fingerprint
  std::set<std::string> outputs;    // folders that gangs have made
  // The journal's records of the gangs launched last, by the label of their stage.
  struct LaunchRecord {
    std::string fingerprint;
    storage::WriterFence writer;
    int64_t ranks = 0;
  };
  std::map<std::string, LaunchRecord> launches;
  std::map<std::string, WorkerId> agents;  // likewise, the last that was started of each name
  uint64_t incarnation = 0;
  bool is_full = false;
};

}  // namespace halcyon::simulation

#endif  // HALCYON_TESTS_SIMULATION_DISK_H_
