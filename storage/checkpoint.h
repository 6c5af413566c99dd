// Checkpoints of a training stage: one commit binds weights, optimizer, position, spec and artifact
// ids. docs/checkpoint_format.md has the bytes. Handles bytes only, no tensors.
//
//   ROOT/fence.3.2                        claim and launch that may commit here, and the commits
//                                         of earlier ones that count; the highest is the fence
//   ROOT/latest                           name of the last committed checkpoint, moved after COMMIT
//   ROOT/step-00000100.3.2/rank-0-of-2.safetensors ...   one a rank, written by that rank
//   ROOT/step-00000100.3.2/manifest.json  written by rank 0 when all shards are on the disk
//   ROOT/step-00000100.3.2/COMMIT         SHA-256 of the manifest; fsynced last
//
// A folder is named by step, claim and launch, so each launch writes into folders of its own. A
// folder without a valid COMMIT is no checkpoint, and neither is one of an earlier launch that the
// present one did not find when it raised the fence: a process that is slow, or was cut off, may
// commit at any time. Flat units: each FSDP unit's parameters are
// one flat float32 array of `numel` elements, padded to a multiple of the world size and cut into
// equal shards in rank order; "param.UNIT", "exp_avg.UNIT", "exp_avg_sq.UNIT" in every rank's file.
#ifndef HALCYON_STORAGE_CHECKPOINT_H_
#define HALCYON_STORAGE_CHECKPOINT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "storage/weights/safetensors.h"

namespace halcyon::storage {

struct UnitLayout {
  struct Parameter {
    std::string name;
    std::vector<int64_t> shape;
    uint64_t offset = 0;  // elements, within the unit's flat array
  };
  std::string name;
  uint64_t numel = 0;  // without padding
  std::vector<Parameter> parameters;
};

struct ShardFile {
  std::string name;  // within the checkpoint's folder
  uint64_t bytes = 0;
  uint64_t xxh3 = 0;
};

struct CheckpointManifest {
  uint64_t step = 0;   // steps done
  uint64_t claim = 0;  // of the stage, that the ranks were launched under
  uint32_t world_size = 1;
  std::string stage;        // "autoencoder", "model"
  std::string fingerprint;  // of the stage
  uint64_t seed = 0;
  uint64_t samples_seen = 0;  // the data cursor: samples of the global order already used
  std::string spec_toml;      // the resolved job spec
  // Of the sample log that has the steps of the launch that wrote it (sample_log.h); 0: an earlier
  // version wrote it, which kept none.
  uint64_t sample_log_format = 0;
  std::map<std::string, std::string> inputs;  // stage name -> content digest
  std::map<std::string, std::string>
      runtime;  // threads, CPU path, versions: a difference is named on resume
  std::vector<UnitLayout> units;
  std::vector<ShardFile> shards;  // in rank order
  std::string folder = {};        // in its store, of one that was loaded; not in the JSON
};

// Who writes: the number of a job's claim of the stage (storage/lease.h), and which launch of the
// gang under it (1, 2, ...). A later launch has the greater fence.
struct WriterFence {
  uint64_t claim = 0;
  uint64_t launch = 0;
  auto operator<=>(const WriterFence&) const = default;
  std::string ToString() const;  // "claim 3, launch 2"
};

std::string ShardFileName(uint32_t rank, uint32_t world_size);
// "step-00000100.3.2" for claim 3, launch 2; "step-00000100" for no fence, as all were named once.
std::string CheckpointName(uint64_t step, const WriterFence& writer);
// Who wrote the folder of that name; zeros for one without a fence, and for any other name.
WriterFence WriterOfCheckpoint(const std::string& name);

// One stage's checkpoints. Thread-compatible; the ranks of one gang each have one.
class CheckpointStore {
 public:
  CheckpointStore(Env& env, std::string root) : env_(env), root_(std::move(root)) {}
  const std::string& root() const { return root_; }

  // Makes the folder and raises the fence, which lists the checkpoints committed so far: what a
  // writer of an earlier claim, or of an earlier launch of the same one, commits afterwards does
  // not count. kAborted when the fence stands higher already. From then on this store writes as
  // `writer`: once the fence stands higher, WriteShard and Commit are kAborted. REQUIRES: not
  // called by two writers at once, unless the fence stands at `writer` already (one raises it
  // before it starts the others).
  absl::Status Fence(const WriterFence& writer);
  // Where the fence stands; zeros when there is none. kDataLoss when the file holds anything else.
  absl::StatusOr<WriterFence> ReadFence();

  // Rank `rank` writes its shard of the checkpoint of `step`; makes the folder, which is this
  // writer's alone: another one's checkpoint of that step stays until Commit. What an uncommitted
  // attempt of this writer left there is replaced; a committed checkpoint first loses its COMMIT.
  // The shard is on the disk when this returns OK; on an error no half of it is left.
  absl::StatusOr<ShardFile> WriteShard(uint64_t step, uint32_t rank, uint32_t world_size,
                                       const std::vector<TensorView>& tensors);

  // Rank 0, after every rank's WriteShard returned OK: manifest, fence check (kAborted when fenced
  // off), COMMIT, `latest`, then removal of all but the last `keep` committed checkpoints, of what
  // earlier writers left of this step, and of folders of earlier steps that do not count. This
  // checkpoint always stays; those of later steps, which a run that had to fall back leaves behind,
  // are neither counted nor touched. kDataLoss when a shard is
  // not as the manifest says; kInvalidArgument when the manifest contradicts itself.
  absl::Status Commit(const CheckpointManifest& manifest, uint64_t keep);

  // Steps of all committed checkpoints that count, ascending (COMMIT present; contents not
  // verified).
  absl::StatusOr<std::vector<uint64_t>> ListCommitted();
  // The folder of the committed checkpoint of a step that counts: that of the greatest fence.
  // kNotFound when there is none.
  absl::StatusOr<std::string> FindCommitted(uint64_t step);
  // Where this writer's checkpoint of the step lies, or would.
  std::string DirToWrite(uint64_t step) const;

  // Reads and verifies the manifest of the one that FindCommitted gives; with `verify_shards` every
  // shard's size and XXH3 too.
  // kNotFound when it is not committed, kDataLoss saying which file is missing or differs from
  // what, kFailedPrecondition when it is of another format version or cannot be read (permission, a
  // failing disk, a folder in a file's place): then it may well be whole.
  absl::StatusOr<CheckpointManifest> Load(uint64_t step, bool verify_shards);
  // The same for a folder of this store by its name, whether it counts or not.
  absl::StatusOr<CheckpointManifest> LoadFolder(const std::string& folder, bool verify_shards);

  struct Found {
    CheckpointManifest manifest;
    std::vector<std::string> rejected;  // "step-00000200: rank-1-of-2.safetensors: ..."
  };
  // The newest committed checkpoint that verifies, and why newer ones did not; an attempt that was
  // cut short before its COMMIT is among the reasons. kNotFound: nothing was ever committed here.
  // kDataLoss: something was, and nothing of it is whole (the message lists the reasons).
  // kFailedPrecondition: one that is newer than the newest whole one can be neither used nor called
  // damaged (see Load).
  absl::StatusOr<Found> FindLastGood();

  // Elements first ... first + out.size() - 1 of the flat array "ARRAY.UNIT" (array: "param",
  // "exp_avg", "exp_avg_sq"), read across the shards of whatever world size wrote them. Elements
  // past numel are zero. Any part may be asked for. kNotFound for an unknown unit or array.
  absl::Status ReadFlat(const CheckpointManifest& manifest, const std::string& array,
                        const std::string& unit, uint64_t first, std::span<float> out);

 private:
  // What the file of the highest fence says.
  struct FenceRecord {
    WriterFence fence;
    std::set<std::string> counted;  // names of committed checkpoints of earlier fences
    bool is_there = false;
  };
  struct Folder {
    uint64_t step = 0;
    WriterFence writer;
    std::string name;
    bool counts = false;
  };
  WriterFence Writer() const { return writer_.value_or(WriterFence()); }
  absl::StatusOr<FenceRecord> ReadFenceRecord();
  absl::StatusOr<FenceRecord> ReadFenceFile(const std::string& name);
  absl::Status RemoveLowerFences(const WriterFence& writer);
  // By step and fence, ascending, whether committed or not.
  absl::StatusOr<std::vector<Folder>> ListFolders();
  bool IsCommitted(const std::string& name);
  absl::Status CheckFence(const WriterFence& writer);
  absl::Status Uncommit(const std::string& dir);
  absl::Status CheckShard(const std::string& dir, const ShardFile& shard, bool verify_bytes);
  absl::Status Prune(const Folder& committed, uint64_t keep);

  Env& env_;
  std::string root_;
  std::optional<WriterFence> writer_;  // given to Fence
};

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_CHECKPOINT_H_
