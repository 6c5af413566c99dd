// What outlives every process: the state folder, as far as commits depend on it. An operation is
// whole or did not happen; a real disk's halves are the matter of tests/storage/.
#ifndef HALCYON_TESTS_SIMULATION_DISK_H_
#define HALCYON_TESTS_SIMULATION_DISK_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "base/status.h"
#include "storage/checkpoint.h"
#include "storage/lease_rules.h"

namespace halcyon::simulation {

struct Disk {
  // Of one stage, by its fingerprint.
  struct Stage {
    using Shards = std::map<uint32_t, uint64_t>;  // ingested, with the fence
    std::map<uint64_t, Shards> ingest_logs;       // by claim; the last counts
    using ShardFile = std::pair<uint32_t, uint64_t>;
    std::set<ShardFile> shard_files;              // whole, by shard and fence
    std::map<ShardFile, uint64_t> removed_files;  // under which claim
    storage::WriterFence fence;                   // of the checkpoints
    uint64_t newest_step = 0;                     // committed

    Shards shards() const { return ingest_logs.empty() ? Shards() : ingest_logs.rbegin()->second; }
  };

  absl::Status Room() const {
    return is_full ? ResourceExhausted("No space left on device") : absl::OkStatus();
  }
  // As storage::CheckpointStore::Fence: raises the fence, or is kAborted when it stands higher.
  absl::Status Fence(const std::string& fingerprint, const storage::WriterFence& writer) {
    RETURN_IF_ERROR(CheckFence(fingerprint, writer));
    RETURN_IF_ERROR(Room());
    return WriteFence(fingerprint, writer);
  }
  // Its second half: a file for each fence, of which the highest counts, whenever it is written.
  absl::Status WriteFence(const std::string& fingerprint, const storage::WriterFence& writer) {
    storage::WriterFence& fence = stages[fingerprint].fence;
    fence = std::max(fence, writer);
    return CheckFence(fingerprint, writer);
  }
  absl::Status CheckFence(const std::string& fingerprint, const storage::WriterFence& writer) {
    const storage::WriterFence& fence = stages[fingerprint].fence;
    if (fence <= writer) return absl::OkStatus();
    return Aborted("the checkpoints belong to " + fence.ToString());
  }

  // The last file of the lease's folder; `presence` is the observer's to say.
  storage::LeaseView LookAtLease(const std::string& dir) const {
    const auto folder = leases.find(dir);
    if (folder == leases.end() || folder->second.empty()) return {};
    const auto& [number, file] = *folder->second.rbegin();
    return {.number = number,
            .holder = file.holder,
            .beat = std::to_string(file.beats),
            .has_ended = file.has_ended};
  }
  // As link(2): false when the file exists. Removes what LeaseSeeker removes.
  bool LinkLease(const std::string& dir, uint64_t number, const storage::LeaseHolder& holder) {
    auto& files = leases[dir];
    if (!files.try_emplace(number, LeaseFile{holder}).second) return false;
    while (files.begin()->first + storage::kLeasesKept < number) files.erase(files.begin());
    return true;
  }

  std::map<std::string, Stage> stages;
  std::set<std::string> artifacts;  // installed, by fingerprint
  std::set<std::string> outputs;    // folders that gangs have made
  // Of leases, by folder and number (storage/lease.h). Only the making of a file is atomic.
  struct LeaseFile {
    storage::LeaseHolder holder;
    uint64_t beats = 0;
    bool has_ended = false;
  };
  std::map<std::string, std::map<uint64_t, LeaseFile>> leases;
  bool is_full = false;
};

}  // namespace halcyon::simulation

#endif  // HALCYON_TESTS_SIMULATION_DISK_H_
