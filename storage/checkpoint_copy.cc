#include "storage/checkpoint_copy.h"

#include <algorithm>

#include "base/digest.h"
#include "storage/checkpoint_manifest.h"
#include "storage/sample_log.h"

namespace halcyon::storage {
namespace {

constexpr uint64_t kCopyBytes = 8 << 20;

absl::Status CopyShard(Env& env, const std::string& from, const std::string& to,
                       const ShardFile& shard) {
  ASSIGN_OR_RETURN(const uint64_t size, env.FileSize(from));
  if (size != shard.bytes) {
    return DataLoss(from + ": " + std::to_string(size) + " bytes, the manifest says " +
                    std::to_string(shard.bytes));
  }
  ASSIGN_OR_RETURN(const auto file, env.NewWritableFile(to));
  Xxh3Hasher hasher;
  for (uint64_t offset = 0; offset < size; offset += kCopyBytes) {
    ASSIGN_OR_RETURN(const std::string bytes,
                     env.ReadRange(from, offset, std::min(kCopyBytes, size - offset)));
    hasher.Update(bytes);
    RETURN_IF_ERROR(file->Append(bytes));
  }
  if (hasher.Digest() != shard.xxh3) {
    return DataLoss(from + ": XXH3 " + Hex64(hasher.Digest()) + ", the manifest says " +
                    Hex64(shard.xxh3));
  }
  RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

absl::Status CopyShards(Env& env, const CheckpointManifest& manifest, const std::string& from,
                        const std::string& to) {
  // Left by an attempt that was cut short.
  RETURN_IF_ERROR(env.RemoveTree(to));
  RETURN_IF_ERROR(env.CreateDirs(to));
  for (const ShardFile& shard : manifest.shards) {
    RETURN_IF_ERROR(CopyShard(env, JoinPath(from, shard.name), JoinPath(to, shard.name), shard));
  }
  return env.SyncDir(to);
}

}  // namespace

absl::Status CopyCheckpoint(Env& env, CheckpointStore& from, uint64_t step, CheckpointStore& to,
                            const CheckpointBinding& binding, uint64_t keep) {
  ASSIGN_OR_RETURN(const std::vector<uint64_t> committed, to.ListCommitted());
  if (std::find(committed.begin(), committed.end(), step) != committed.end()) {
    return FailedPrecondition(to.root() + " has a checkpoint of step " + std::to_string(step));
  }
  ASSIGN_OR_RETURN(CheckpointManifest manifest, from.Load(step, /*verify_shards=*/false),
                   from.root());
  const std::string dir = to.DirToWrite(step);
  absl::Status copied = CopyShards(env, manifest, JoinPath(from.root(), manifest.folder), dir);
  if (copied.ok()) {
    copied =
        CopySampleLineage(env, from.root(), manifest, to.root(), WriterOfCheckpoint(BaseName(dir)));
  }
  if (copied.ok()) {
    manifest.fingerprint = binding.fingerprint;
    manifest.spec_toml = binding.spec_toml;
    manifest.claim = binding.claim;
    copied = to.Commit(manifest, keep);
  }
  // A partial copy is useless, and on a full disk its space is needed; the first error is the one
  // to report. After a failed Commit the COMMIT may exist all the same: then the copy stays.
  if (!copied.ok() && !env.Exists(JoinPath(dir, kCommitFile))) env.RemoveTree(dir).IgnoreError();
  return copied;
}

}  // namespace halcyon::storage
