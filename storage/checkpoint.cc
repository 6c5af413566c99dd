#include "storage/checkpoint.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <tuple>

#include "absl/strings/str_split.h"

#include "storage/checkpoint_manifest.h"

namespace halcyon::storage {
namespace {

// Of earlier versions, which had one file of that name alone.
constexpr std::string_view kFence = "fence";
// Tries to read the fence while others raise it.
constexpr int kFenceReadsMax = 100;
constexpr std::string_view kStepPrefix = "step-";

std::optional<uint64_t> ParseDecimal(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct ParsedName {
  uint64_t step = 0;
  WriterFence writer;
};

std::string FenceName(const WriterFence& writer) {
  return std::string(kFence) + "." + std::to_string(writer.claim) + "." +
         std::to_string(writer.launch);
}

// nullopt for a name that FenceName does not make.
std::optional<WriterFence> ParseFenceName(const std::string& name) {
  const std::vector<std::string> parts = absl::StrSplit(name, '.');
  if (parts.size() != 3) return std::nullopt;
  const auto claim = ParseDecimal(parts[1]), launch = ParseDecimal(parts[2]);
  if (!claim || !launch) return std::nullopt;
  const WriterFence fence{*claim, *launch};
  return FenceName(fence) == name ? std::optional(fence) : std::nullopt;
}

// nullopt for a name that CheckpointName does not make.
std::optional<ParsedName> ParseName(const std::string& name) {
  if (!name.starts_with(kStepPrefix)) return std::nullopt;
  const std::vector<std::string> numbers = absl::StrSplit(name.substr(kStepPrefix.size()), '.');
  if (numbers.size() != 1 && numbers.size() != 3) return std::nullopt;
  std::vector<uint64_t> values;
  for (const std::string& number : numbers) {
    const auto value = ParseDecimal(number);
    if (!value) return std::nullopt;
    values.push_back(*value);
  }
  values.resize(3);
  const ParsedName parsed{values[0], {values[1], values[2]}};
  if (CheckpointName(parsed.step, parsed.writer) != name) return std::nullopt;
  return parsed;
}

}  // namespace

std::string ShardFileName(uint32_t rank, uint32_t world_size) {
  return "rank-" + std::to_string(rank) + "-of-" + std::to_string(world_size) + ".safetensors";
}

std::string CheckpointName(uint64_t step, const WriterFence& writer) {
  std::array<char, 32> digits;
  std::snprintf(digits.data(), digits.size(), "%08llu", static_cast<unsigned long long>(step));
  const std::string name = std::string(kStepPrefix) + digits.data();
  if (writer == WriterFence()) return name;
  return name + "." + std::to_string(writer.claim) + "." + std::to_string(writer.launch);
}

WriterFence WriterOfCheckpoint(const std::string& name) {
  return ParseName(name).value_or(ParsedName()).writer;
}

std::string CheckpointStore::DirToWrite(uint64_t step) const {
  return JoinPath(root_, CheckpointName(step, Writer()));
}

bool CheckpointStore::IsCommitted(const std::string& name) {
  return env_.Exists(JoinPath(JoinPath(root_, name), kCommitFile));
}

std::string WriterFence::ToString() const {
  return "claim " + std::to_string(claim) + ", launch " + std::to_string(launch);
}

absl::StatusOr<CheckpointStore::FenceRecord> CheckpointStore::ReadFenceRecord() {
  absl::Status gone;
  for (int i = 0; i < kFenceReadsMax; ++i) {
    const auto names = env_.ListDir(root_);
    if (absl::IsNotFound(names.status())) return FenceRecord();
    RETURN_IF_ERROR(names.status());
    std::optional<WriterFence> highest;
    bool is_there = false;
    for (const std::string& name : *names) {
      is_there = is_there || name == kFence;
      if (const auto fence = ParseFenceName(name)) highest = std::max(fence, highest);
    }
    if (!highest && !is_there) return FenceRecord();
    auto record = ReadFenceFile(highest ? FenceName(*highest) : std::string(kFence));
    if (record.ok() && highest && record->fence != *highest) {
      return DataLoss(JoinPath(root_, FenceName(*highest)) + ": is of " + record->fence.ToString());
    }
    // Whoever raised it since has removed the file.
    if (!absl::IsNotFound(record.status())) return record;
    gone = record.status();
  }
  return gone;
}

absl::StatusOr<CheckpointStore::FenceRecord> CheckpointStore::ReadFenceFile(
    const std::string& name) {
  const std::string path = JoinPath(root_, name);
  const absl::StatusOr<std::string> text = env_.ReadFile(path);
  if (absl::IsInvalidArgument(text.status())) return FailedPrecondition(MessageOf(text.status()));
  RETURN_IF_ERROR(text.status());
  const absl::Status damaged = DataLoss(
      path + ": expected a claim, a launch and a line end, and a line for each checkpoint of " +
      "earlier ones that counts; remove the file when no run uses " + root_);
  if (!text->ends_with('\n')) return damaged;
  std::vector<std::string> lines = absl::StrSplit(*text, '\n');
  lines.pop_back();
  const std::string_view first = lines.front();
  const size_t space = first.find(' ');
  const auto claim = ParseDecimal(first.substr(0, space));
  // A number alone was written when launches were not told apart.
  const auto launch = space == first.npos ? 0 : ParseDecimal(first.substr(space + 1));
  if (!claim || !launch) return damaged;
  FenceRecord record{{*claim, *launch}, {}, true};
  for (size_t i = 1; i < lines.size(); ++i) {
    if (!ParseName(lines[i])) return damaged;
    record.counted.insert(lines[i]);
  }
  return record;
}

absl::StatusOr<WriterFence> CheckpointStore::ReadFence() {
  ASSIGN_OR_RETURN(const FenceRecord record, ReadFenceRecord());
  return record.fence;
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
  std::string text = std::to_string(writer.claim) + " " + std::to_string(writer.launch) + "\n";
  ASSIGN_OR_RETURN(const std::vector<Folder> folders, ListFolders());
  for (const Folder& folder : folders) {
    if (folder.counts && IsCommitted(folder.name)) text += folder.name + "\n";
  }
  RETURN_IF_ERROR(WriteFileAtomically(env_, JoinPath(root_, FenceName(writer)), text));
  // A later claim's writer may have raised it meanwhile: then this file changes nothing.
  RETURN_IF_ERROR(CheckFence(writer));
  return RemoveLowerFences(writer);
}

absl::Status CheckpointStore::RemoveLowerFences(const WriterFence& writer) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, env_.ListDir(root_));
  for (const std::string& name : names) {
    const auto fence = ParseFenceName(name);
    if (name != kFence && !(fence && *fence < writer)) continue;
    const absl::Status removed = env_.RemoveFile(JoinPath(root_, name));
    if (!absl::IsNotFound(removed)) RETURN_IF_ERROR(removed);
  }
  return absl::OkStatus();
}

// Afterwards there is no COMMIT in the folder, so its files may be written. The folder is synced
// even when COMMIT is gone already: another rank may have removed it without having synced.
absl::Status CheckpointStore::Uncommit(const std::string& dir) {
  const absl::Status removed = env_.RemoveFile(JoinPath(dir, kCommitFile));
  if (!absl::IsNotFound(removed)) RETURN_IF_ERROR(removed);
  return env_.SyncDir(dir);
}

absl::StatusOr<ShardFile> CheckpointStore::WriteShard(uint64_t step, uint32_t rank,
                                                      uint32_t world_size,
                                                      const std::vector<TensorView>& tensors) {
  if (writer_.has_value()) RETURN_IF_ERROR(CheckFence(*writer_));
  const std::string dir = DirToWrite(step);
  RETURN_IF_ERROR(env_.CreateDirs(dir));
  RETURN_IF_ERROR(Uncommit(dir));
  ShardFile shard;
  shard.name = ShardFileName(rank, world_size);
  const absl::Status removed = env_.RemoveFile(JoinPath(dir, shard.name));
  if (!absl::IsNotFound(removed)) RETURN_IF_ERROR(removed);
  ASSIGN_OR_RETURN(const WrittenFile written,
                   WriteSafetensors(env_, JoinPath(dir, shard.name), tensors,
                                    {{"step", std::to_string(step)},
                                     {"rank", std::to_string(rank)},
                                     {"world_size", std::to_string(world_size)}}));
  RETURN_IF_ERROR(env_.SyncDir(dir));
  shard.bytes = written.bytes;
  shard.xxh3 = written.xxh3;
  return shard;
}

absl::Status CheckpointStore::Commit(const CheckpointManifest& manifest, uint64_t keep) {
  ASSIGN_OR_RETURN(const std::string json, ManifestToJson(manifest));
  const WriterFence writer{manifest.claim, Writer().launch};
  const Folder committed{manifest.step, writer, CheckpointName(manifest.step, writer), true};
  const std::string dir = JoinPath(root_, committed.name);
  RETURN_IF_ERROR(CheckFence(writer));
  for (const ShardFile& shard : manifest.shards) {
    RETURN_IF_ERROR(CheckShard(dir, shard, /*verify_bytes=*/false), dir);
  }
  RETURN_IF_ERROR(Uncommit(dir));
  RETURN_IF_ERROR(WriteFileAtomically(env_, JoinPath(dir, kManifestFile), json));
  // Writing took time: the fence is checked again as late as possible.
  RETURN_IF_ERROR(CheckFence(writer));
  RETURN_IF_ERROR(WriteFileAtomically(env_, JoinPath(dir, kCommitFile), CommitLine(json)));
  RETURN_IF_ERROR(env_.SyncDir(root_));
  // A run that was fenced off meanwhile must not remove what its successor may be reading.
  RETURN_IF_ERROR(CheckFence(writer));
  RETURN_IF_ERROR(WriteFileAtomically(env_, JoinPath(root_, kLatestFile), committed.name + "\n"));
  return Prune(committed, keep);
}

absl::Status CheckpointStore::Prune(const Folder& committed, uint64_t keep) {
  ASSIGN_OR_RETURN(std::vector<Folder> folders, ListFolders());
  std::reverse(folders.begin(), folders.end());
  std::set<uint64_t> kept = {committed.step};
  for (const Folder& old : folders) {
    // What a later launch writes is not this one's to remove.
    if (old.step > committed.step || old.writer > committed.writer) continue;
    if (old.name == committed.name) continue;
    if (!kept.contains(old.step) && kept.size() < keep && old.counts && IsCommitted(old.name)) {
      kept.insert(old.step);
      continue;
    }
    // COMMIT goes first: a folder whose removal was cut short must not pass for a checkpoint.
    RETURN_IF_ERROR(Uncommit(JoinPath(root_, old.name)));
    RETURN_IF_ERROR(env_.RemoveTree(JoinPath(root_, old.name)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<CheckpointStore::Folder>> CheckpointStore::ListFolders() {
  const auto names = env_.ListDir(root_);
  if (absl::IsNotFound(names.status())) return std::vector<Folder>();
  RETURN_IF_ERROR(names.status());
  ASSIGN_OR_RETURN(const FenceRecord record, ReadFenceRecord());
  std::vector<Folder> folders;
  for (const std::string& name : *names) {
    const auto parsed = ParseName(name);
    if (!parsed) continue;
    const bool counts = !record.is_there || parsed->writer == record.fence ||
                        parsed->writer == WriterFence() || record.counted.contains(name);
    folders.push_back({parsed->step, parsed->writer, name, counts});
  }
  std::ranges::sort(folders, {}, [](const Folder& one) { return std::tie(one.step, one.writer); });
  return folders;
}

absl::StatusOr<std::vector<uint64_t>> CheckpointStore::ListCommitted() {
  ASSIGN_OR_RETURN(const std::vector<Folder> folders, ListFolders());
  std::set<uint64_t> steps;
  for (const Folder& folder : folders) {
    if (folder.counts && IsCommitted(folder.name)) steps.insert(folder.step);
  }
  return std::vector<uint64_t>(steps.begin(), steps.end());
}

absl::StatusOr<std::string> CheckpointStore::FindCommitted(uint64_t step) {
  ASSIGN_OR_RETURN(const std::vector<Folder> folders, ListFolders());
  for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder) {
    if (folder->step == step && folder->counts && IsCommitted(folder->name)) return folder->name;
  }
  return NotFound(CheckpointName(step, {}) + ": not committed in " + root_);
}

}  // namespace halcyon::storage
