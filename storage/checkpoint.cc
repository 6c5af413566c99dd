#include "storage/checkpoint.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "storage/checkpoint_manifest.h"

namespace halcyon::storage {
namespace {

constexpr char kFence[] = "fence";
constexpr std::string_view kStepPrefix = "step-";

std::optional<uint64_t> ParseDecimal(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// nullopt for a name that CheckpointName does not make.
std::optional<uint64_t> StepOfName(const std::string& name) {
  if (!name.starts_with(kStepPrefix)) return std::nullopt;
  const auto step = ParseDecimal(std::string_view(name).substr(kStepPrefix.size()));
  if (!step.has_value() || CheckpointName(*step) != name) return std::nullopt;
  return step;
}

}  // namespace

std::string ShardFileName(uint32_t rank, uint32_t world_size) {
  return "rank-" + std::to_string(rank) + "-of-" + std::to_string(world_size) + ".safetensors";
}

std::string CheckpointName(uint64_t step) {
  std::array<char, 32> digits;
  std::snprintf(digits.data(), digits.size(), "%08llu", static_cast<unsigned long long>(step));
  return std::string(kStepPrefix) + digits.data();
}

std::string CheckpointStore::DirOf(uint64_t step) const {
  return JoinPath(root_, CheckpointName(step));
}

bool CheckpointStore::IsCommitted(uint64_t step) {
  return env_.Exists(JoinPath(DirOf(step), kCommitFile));
}

std::string WriterFence::ToString() const {
  return "claim " + std::to_string(claim) + ", launch " + std::to_string(launch);
}

absl::StatusOr<WriterFence> CheckpointStore::ReadFence() {
  const std::string path = JoinPath(root_, kFence);
  const absl::StatusOr<std::string> text = env_.ReadFile(path);
  if (absl::IsNotFound(text.status())) return WriterFence();
  if (absl::IsInvalidArgument(text.status())) return FailedPrecondition(MessageOf(text.status()));
  RETURN_IF_ERROR(text.status());
  if (text->ends_with('\n')) {
    const std::string_view line = std::string_view(*text).substr(0, text->size() - 1);
    const size_t space = line.find(' ');
    const auto claim = ParseDecimal(line.substr(0, space));
    // A number alone was written when launches were not told apart.
    const auto launch = space == line.npos ? 0 : ParseDecimal(line.substr(space + 1));
    if (claim && launch) return WriterFence{*claim, *launch};
  }
  return DataLoss(path +
                  ": expected a claim, a launch and a line end; remove the file when "
                  "no run uses " +
                  root_);
}

absl::Status CheckpointStore::CheckFence(const WriterFence& writer) {
  ASSIGN_OR_RETURN(const WriterFence fence, ReadFence());
  if (fence <= writer) return absl::OkStatus();
  return Aborted(root_ + " belongs to " + fence.ToString() + " now; " + writer.ToString() +
                 " may not write there");
}

absl::Status CheckpointStore::Fence(const WriterFence& writer) {
  RETURN_IF_ERROR(env_.CreateDirs(root_));
  RETURN_IF_ERROR(env_.SyncDir(DirName(root_)));
  RETURN_IF_ERROR(CheckFence(writer));
  writer_ = writer;
  ASSIGN_OR_RETURN(const WriterFence fence, ReadFence());
  // Ranks that repeat their coordinator's call must not write: their temporary files would collide.
  if (fence == writer) return absl::OkStatus();
  return WriteFileAtomically(
      env_, JoinPath(root_, kFence),
      std::to_string(writer.claim) + " " + std::to_string(writer.launch) + "\n");
}

// Afterwards no COMMIT of that step is on the disk, so its files may be written. The folder is
// synced even when COMMIT is gone already: another rank may have removed it without having synced.
absl::Status CheckpointStore::Uncommit(uint64_t step) {
  const absl::Status removed = env_.RemoveFile(JoinPath(DirOf(step), kCommitFile));
  if (!absl::IsNotFound(removed)) RETURN_IF_ERROR(removed);
  return env_.SyncDir(DirOf(step));
}

absl::StatusOr<ShardFile> CheckpointStore::WriteShard(uint64_t step, uint32_t rank,
                                                      uint32_t world_size,
                                                      const std::vector<TensorView>& tensors) {
  if (writer_.has_value()) RETURN_IF_ERROR(CheckFence(*writer_));
  RETURN_IF_ERROR(env_.CreateDirs(DirOf(step)));
  RETURN_IF_ERROR(Uncommit(step));
  ShardFile shard;
  shard.name = ShardFileName(rank, world_size);
  // A new file: a rank of an earlier launch that still has the old one open writes into a removed
  // file.
  const absl::Status removed = env_.RemoveFile(JoinPath(DirOf(step), shard.name));
  if (!absl::IsNotFound(removed)) RETURN_IF_ERROR(removed);
  ASSIGN_OR_RETURN(const WrittenFile written,
                   WriteSafetensors(env_, JoinPath(DirOf(step), shard.name), tensors,
                                    {{"step", std::to_string(step)},
                                     {"rank", std::to_string(rank)},
                                     {"world_size", std::to_string(world_size)}}));
  RETURN_IF_ERROR(env_.SyncDir(DirOf(step)));
  shard.bytes = written.bytes;
  shard.xxh3 = written.xxh3;
  return shard;
}

absl::Status CheckpointStore::Commit(const CheckpointManifest& manifest, uint64_t keep) {
  const std::string dir = DirOf(manifest.step);
  ASSIGN_OR_RETURN(const std::string json, ManifestToJson(manifest));
  const WriterFence writer{manifest.claim, writer_.value_or(WriterFence()).launch};
  RETURN_IF_ERROR(CheckFence(writer));
  for (const ShardFile& shard : manifest.shards) {
    RETURN_IF_ERROR(CheckShard(dir, shard, /*verify_bytes=*/false), dir);
  }
  RETURN_IF_ERROR(Uncommit(manifest.step));
  RETURN_IF_ERROR(WriteFileAtomically(env_, JoinPath(dir, kManifestFile), json));
  // Writing took time: the fence is checked again as late as possible.
  RETURN_IF_ERROR(CheckFence(writer));
  RETURN_IF_ERROR(WriteFileAtomically(env_, JoinPath(dir, kCommitFile), CommitLine(json)));
  RETURN_IF_ERROR(env_.SyncDir(root_));
  // A run that was fenced off meanwhile must not remove what its successor may be reading.
  RETURN_IF_ERROR(CheckFence(writer));
  RETURN_IF_ERROR(WriteFileAtomically(env_, JoinPath(root_, kLatestFile),
                                      CheckpointName(manifest.step) + "\n"));
  return Prune(manifest.step, keep);
}

absl::Status CheckpointStore::Prune(uint64_t step, uint64_t keep) {
  ASSIGN_OR_RETURN(std::vector<uint64_t> steps, ListSteps());
  std::reverse(steps.begin(), steps.end());
  uint64_t kept = 1;  // `step` itself
  for (const uint64_t old : steps) {
    if (old >= step) continue;
    if (kept < keep && IsCommitted(old)) {
      ++kept;
      continue;
    }
    // COMMIT goes first: a folder whose removal was cut short must not pass for a checkpoint.
    RETURN_IF_ERROR(Uncommit(old));
    RETURN_IF_ERROR(env_.RemoveTree(DirOf(old)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<uint64_t>> CheckpointStore::ListSteps() {
  const auto names = env_.ListDir(root_);
  if (absl::IsNotFound(names.status())) return std::vector<uint64_t>();
  RETURN_IF_ERROR(names.status());
  std::vector<uint64_t> steps;
  for (const std::string& name : *names) {
    if (const auto step = StepOfName(name)) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());  // names of more than eight digits sort otherwise
  return steps;
}

absl::StatusOr<std::vector<uint64_t>> CheckpointStore::ListCommitted() {
  ASSIGN_OR_RETURN(std::vector<uint64_t> steps, ListSteps());
  std::erase_if(steps, [this](uint64_t step) { return !IsCommitted(step); });
  return steps;
}

}  // namespace halcyon::storage
