// The reading half of CheckpointStore; checkpoint.cc has the writing half.
#include <algorithm>
#include <cstring>

#include "base/digest.h"
#include "storage/checkpoint.h"
#include "storage/checkpoint_manifest.h"

namespace halcyon::storage {
namespace {

constexpr uint64_t kVerifyBytes = 8 << 20;

// A file that is missing from a committed checkpoint is damage. One that could not be read may be
// whole: a run must not go back to an older checkpoint, or to the start, because of a permission.
absl::Status OfCommitted(const absl::Status& status) {
  if (status.ok() || absl::IsDataLoss(status) || absl::IsResourceExhausted(status)) return status;
  if (absl::IsNotFound(status)) return DataLoss(MessageOf(status));
  return FailedPrecondition(MessageOf(status) +
                            ": it could not be read, so it is not known whether it is whole; make "
                            "it readable or move the checkpoint away");
}

absl::StatusOr<uint64_t> Xxh3OfFile(Env& env, const std::string& path, uint64_t size) {
  Xxh3Hasher hasher;
  for (uint64_t offset = 0; offset < size; offset += kVerifyBytes) {
    ASSIGN_OR_RETURN(const std::string bytes,
                     env.ReadRange(path, offset, std::min(kVerifyBytes, size - offset)));
    hasher.Update(bytes);
  }
  return hasher.Digest();
}

// Elements first ... first + out.size() - 1 of one rank's part of a flat array.
absl::Status ReadShardPart(Env& env, const std::string& path, const std::string& tensor,
                           uint64_t shard_numel, uint64_t first, std::span<float> out) {
  const auto file = SafetensorsFile::Open(env, path);
  RETURN_IF_ERROR(OfCommitted(file.status()));
  ASSIGN_OR_RETURN(const TensorEntry entry, (*file)->Find(tensor));
  if (entry.dtype != DType::kF32 || entry.bytes != shard_numel * sizeof(float)) {
    return DataLoss(path + ": tensor \"" + tensor + "\" is " + std::string(NameOf(entry.dtype)) +
                    " of " + std::to_string(entry.bytes) + " bytes, expected F32 of " +
                    std::to_string(shard_numel * sizeof(float)));
  }
  ASSIGN_OR_RETURN(const std::string bytes,
                   (*file)->ReadPart(tensor, first * sizeof(float), out.size_bytes()));
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckpointStore::CheckShard(const std::string& dir, const ShardFile& shard,
                                         bool verify_bytes) {
  const std::string path = JoinPath(dir, shard.name);
  const absl::StatusOr<uint64_t> size = env_.FileSize(path);
  RETURN_IF_ERROR(OfCommitted(size.status()), shard.name);
  if (*size != shard.bytes) {
    return DataLoss(shard.name + ": " + std::to_string(*size) + " bytes, the manifest says " +
                    std::to_string(shard.bytes));
  }
  if (!verify_bytes) return absl::OkStatus();
  const absl::StatusOr<uint64_t> xxh3 = Xxh3OfFile(env_, path, *size);
  RETURN_IF_ERROR(OfCommitted(xxh3.status()), shard.name);
  if (*xxh3 != shard.xxh3) {
    return DataLoss(shard.name + ": XXH3 " + Hex64(*xxh3) + ", the manifest says " +
                    Hex64(shard.xxh3));
  }
  return absl::OkStatus();
}

absl::StatusOr<CheckpointManifest> CheckpointStore::Load(uint64_t step, bool verify_shards) {
  ASSIGN_OR_RETURN(const std::string folder, FindCommitted(step));
  return LoadFolder(folder, verify_shards);
}

absl::StatusOr<CheckpointManifest> CheckpointStore::LoadFolder(const std::string& name,
                                                               bool verify_shards) {
  const std::string dir = JoinPath(root_, name);
  if (!IsCommitted(name)) return NotFound(name + ": not committed: no COMMIT in " + dir);
  const auto commit = env_.ReadFile(JoinPath(dir, kCommitFile));
  RETURN_IF_ERROR(OfCommitted(commit.status()), name);
  const auto json = env_.ReadFile(JoinPath(dir, kManifestFile));
  RETURN_IF_ERROR(OfCommitted(json.status()), name);
  if (*commit != CommitLine(*json)) {
    return DataLoss(name + ": manifest.json has SHA-256 " + Sha256::Of(*json) +
                    ", COMMIT says otherwise: one of the two is damaged");
  }
  ASSIGN_OR_RETURN(CheckpointManifest manifest, ManifestFromJson(*json), name + ": manifest.json");
  const std::string step_name = CheckpointName(manifest.step, {});
  if (name != step_name && !name.starts_with(step_name + ".")) {
    return DataLoss(name + ": manifest.json is of step " + std::to_string(manifest.step));
  }
  if (verify_shards) {
    for (const ShardFile& shard : manifest.shards) {
      RETURN_IF_ERROR(CheckShard(dir, shard, /*verify_bytes=*/true), name);
    }
  }
  manifest.folder = name;
  return manifest;
}

absl::StatusOr<CheckpointStore::Found> CheckpointStore::FindLastGood() {
  ASSIGN_OR_RETURN(std::vector<Folder> folders, ListFolders());
  std::reverse(folders.begin(), folders.end());
  Found found;
  bool was_committed = false;
  for (const Folder& folder : folders) {
    if (!folder.counts) {
      found.rejected.push_back(folder.name + ": of " + folder.writer.ToString() +
                               ", which another launch has replaced before it was committed");
      continue;
    }
    auto manifest = LoadFolder(folder.name, /*verify_shards=*/true);
    if (manifest.ok()) {
      found.manifest = *std::move(manifest);
      return found;
    }
    if (!absl::IsNotFound(manifest.status())) {
      if (!absl::IsDataLoss(manifest.status())) return Annotate(manifest.status(), root_);
      was_committed = true;
    }
    found.rejected.push_back(MessageOf(manifest.status()));
  }
  std::string message = "no checkpoint in " + root_;
  for (const std::string& reason : found.rejected) message += "; " + reason;
  // `latest` is written after a commit, and the step it names is removed only after a later commit.
  if (!was_committed && env_.Exists(JoinPath(root_, kLatestFile))) {
    was_committed = true;
    message += "; " + JoinPath(root_, kLatestFile) + " names one that is not there";
  }
  return was_committed ? DataLoss(message) : NotFound(message);
}

absl::Status CheckpointStore::ReadFlat(const CheckpointManifest& manifest, const std::string& array,
                                       const std::string& unit, uint64_t first,
                                       std::span<float> out) {
  const auto layout = std::find_if(manifest.units.begin(), manifest.units.end(),
                                   [&](const UnitLayout& u) { return u.name == unit; });
  const std::string dir = JoinPath(root_, manifest.folder);
  if (layout == manifest.units.end()) {
    return NotFound(JoinPath(dir, kManifestFile) + ": no unit \"" + unit + "\"");
  }
  const uint64_t numel = layout->numel;
  const uint64_t world_size = manifest.world_size;
  const uint64_t shard_numel = (numel + world_size - 1) / world_size;
  const uint64_t present = first < numel ? std::min<uint64_t>(out.size(), numel - first) : 0;
  uint64_t done = 0;
  while (done < present) {
    const uint64_t rank = (first + done) / shard_numel;
    const uint64_t within = (first + done) % shard_numel;
    const uint64_t count = std::min(present - done, shard_numel - within);
    RETURN_IF_ERROR(ReadShardPart(env_, JoinPath(dir, manifest.shards.at(rank).name),
                                  array + "." + unit, shard_numel, within,
                                  out.subspan(done, count)));
    done += count;
  }
  std::fill(out.begin() + static_cast<ptrdiff_t>(present), out.end(), 0.0f);
  return absl::OkStatus();
}

}  // namespace halcyon::storage
