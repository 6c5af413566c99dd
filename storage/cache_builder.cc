#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <utility>

#include "base/env.h"
#include "base/fault_point.h"
#include "storage/cache_format.h"
#include "storage/cache_generation.h"
#include "storage/cache_manifest.h"
#include "storage/ingest_log.h"
#include "storage/merge_plan.h"
#include "storage/page_cache.h"
#include "storage/shard_files.h"
#include "storage/sst_output.h"

namespace halcyon::storage {
namespace {

std::string ShardsOf(const HeldFile& file) {
  return std::to_string(file.first()) + "-" + std::to_string(file.last());
}

bool IsOfAnotherUser(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && info.st_uid != geteuid();
}

class LoggedBuilder : public CacheBuilder {
 public:
  LoggedBuilder(Env& env, std::string dir, CacheOwner owner, IngestHistory history)
      : env_(env),
        dir_(std::move(dir)),
        owner_(std::move(owner)),
        log_(env, dir_, owner_.claim, std::move(history)) {
    CountUnmerged();
  }

  absl::Status Begin() { return log_.Begin(); }

  std::set<uint32_t> Committed() const override {
    std::set<uint32_t> shards;
    for (const auto& [first, file] : files()) {
      for (const HeldShard& shard : file.shards) shards.insert(shards.end(), shard.shard);
    }
    return shards;
  }

  absl::Status RemoveLeftovers(const KeepFile& keep) override {
    std::set<std::string> held;
    for (const auto& [first, file] : files()) held.insert(file.name);
    ASSIGN_OR_RETURN(const std::vector<std::string> names, env_.ListDir(dir_));
    for (const std::string& name : names) {
      const bool is_sst = name.ends_with(kSstSuffix) || name.ends_with(kSstDraftSuffix);
      if (!is_sst || held.contains(name) || keep(name)) continue;
      // It may be of a worker of whoever has taken the claim over.
      RETURN_IF_ERROR(owner_.check());
      RETURN_IF_ERROR(env_.RemoveFile(JoinPath(dir_, name)));
    }
    return absl::OkStatus();
  }

  std::vector<absl::StatusOr<ShardRecord>> Ingest(
      const std::vector<ShardResult>& results) override {
    std::vector<absl::StatusOr<ShardRecord>> answers;
    std::vector<HeldFile> taken;
    std::set<uint32_t> shards;
    for (const ShardResult& result : results) {
      answers.push_back(Check(result, shards));
      if (!answers.back().ok()) continue;
      const ShardRecord& record = *answers.back();
      shards.insert(record.shard);
      taken.push_back({BaseName(result.file.path),
                       result.file.bytes,
                       result.file.file_checksum,
                       {{record.shard, record.fence, record.pages, record.content_digest}}});
    }
    if (taken.empty()) return answers;
    FaultPoint("cache ingest " + std::to_string(taken.front().first()));
    absl::Status committed = owner_.check();
    if (committed.ok()) committed = log_.Ingest(taken);
    FaultPoint("cache ingested " + std::to_string(taken.front().first()));
    if (committed.ok()) {
      for (const HeldFile& file : taken) unmerged_bytes_ += file.bytes;
      return answers;
    }
    for (absl::StatusOr<ShardRecord>& answer : answers) {
      if (answer.ok()) answer = committed;
    }
    return answers;
  }

  absl::StatusOr<bool> MergeSome() override {
    // Looking at all files costs milliseconds when there are 100,000.
    if (unmerged_bytes_ < owner_.merged_bytes) return false;
    const auto sources = NextMerge(files(), owner_.merged_bytes, MergeWhat::kFull);
    if (sources.empty()) return false;
    uint32_t damaged = 0;
    RETURN_IF_ERROR(Merge(sources, &damaged));
    CountUnmerged();
    return true;
  }

  absl::StatusOr<Published> Publish(const std::string& dir, uint32_t shards) override {
    RETURN_IF_ERROR(CheckComplete(shards));
    if (env_.Exists(dir)) return AlreadyExists(dir + ": exists already");
    const std::string temporary = dir + ".tmp";
    RETURN_IF_ERROR(env_.RemoveTree(temporary));
    RETURN_IF_ERROR(MergeAll());
    CacheManifest manifest;
    Published published;
    std::vector<ShardRecord> records;
    ASSIGN_OR_RETURN(const std::vector<GenerationFile> files, ReadFiles(&records));
    for (const ShardRecord& record : records) {
      for (const auto& [name, count] : record.counts) published.counts[name] += count;
    }
    manifest.dataset = log_.history().dataset;
    manifest.shards = shards;
    manifest.content_digest = published.content_digest = DatasetDigest(records);
    ASSIGN_OR_RETURN(manifest.files, MakeGeneration(temporary, files, records));
    for (const CacheManifest::File& file : manifest.files) published.bytes += file.bytes;
    RETURN_IF_ERROR(
        WriteFileAtomically(env_, JoinPath(temporary, kManifestName), EncodeManifest(manifest)));
    FaultPoint("cache publish manifest");
    RETURN_IF_ERROR(owner_.check());
    RETURN_IF_ERROR(env_.Rename(temporary, dir));
    FaultPoint("cache publish renamed");
    RETURN_IF_ERROR(env_.SyncDir(DirName(dir)));
    return published;
  }

 private:
  const HeldFiles& files() const { return log_.history().files; }
  std::string PathOf(const HeldFile& file) const { return JoinPath(dir_, file.name); }

  void CountUnmerged() {
    unmerged_bytes_ = 0;
    for (const auto& [first, file] : files()) {
      if (file.bytes < owner_.merged_bytes) unmerged_bytes_ += file.bytes;
    }
  }

  // `others`: of the same call.
  absl::StatusOr<ShardRecord> Check(const ShardResult& result, const std::set<uint32_t>& others) {
    if (log_.FileOf(result.shard) != nullptr || others.contains(result.shard)) {
      return AlreadyExists("shard " + std::to_string(result.shard) + " is in");
    }
    const SstFile& file = result.file;
    if (DirName(file.path) != dir_ || !file.path.ends_with(kSstSuffix)) {
      return InvalidArgument(file.path + ": is no SST file in " + dir_);
    }
    ASSIGN_OR_RETURN(const uint64_t bytes, env_.FileSize(file.path));
    if (bytes != file.bytes) {
      return DataLoss(file.path + ": has " + std::to_string(bytes) + " bytes, its producer says " +
                      std::to_string(file.bytes));
    }
    ASSIGN_OR_RETURN(ShardRecord record,
                     CheckShardFile(file, log_.history().dataset, result.shard));
    if (record.fence < result.fence_min) {
      return Aborted(file.path + ": was made under lease " + std::to_string(record.fence) +
                     ", which ended; the shard belongs to lease " +
                     std::to_string(result.fence_min));
    }
    return record;
  }

  absl::Status CheckComplete(uint32_t shards) {
    uint64_t next = 0;
    for (const auto& [first, file] : files()) {
      if (first != next) break;
      next = uint64_t{file.last()} + 1;
    }
    if (next < shards) {
      return FailedPrecondition("shard " + std::to_string(next) + " of " + std::to_string(shards) +
                                " is not in");
    }
    if (files().empty() || files().rbegin()->second.last() < shards) return absl::OkStatus();
    return FailedPrecondition("shard " + std::to_string(files().rbegin()->second.last()) +
                              " is in, but only " + std::to_string(shards) + " are expected");
  }

  // Into one file, which takes their place. `damaged`: the first shard of the file that is, when
  // it returns kDataLoss or kNotFound.
  absl::Status Merge(const std::vector<uint32_t>& sources, uint32_t* damaged) {
    HeldFile merged;
    std::vector<std::string> before;
    for (const uint32_t first : sources) {
      const HeldFile& source = files().at(first);
      before.push_back(PathOf(source));
      merged.shards.insert(merged.shards.end(), source.shards.begin(), source.shards.end());
    }
    const std::string shards = ShardsOf(merged);
    merged.name = "merged-" + std::to_string(owner_.claim) + "-" + shards + std::string(kSstSuffix);
    ASSIGN_OR_RETURN(const auto output, SstOutput::Create(PathOf(merged)));
    for (const uint32_t first : sources) {
      *damaged = first;
      const HeldFile& source = files().at(first);
      RETURN_IF_ERROR(CopyHeldShards(PathOf(source), log_.history().dataset, source, output.get()));
    }
    ASSIGN_OR_RETURN(const SstFile made, output->Finish());
    merged.bytes = made.bytes;
    merged.crc32c = made.file_checksum;
    FaultPoint("cache merge written " + shards);
    RETURN_IF_ERROR(owner_.check());
    RETURN_IF_ERROR(log_.Merge(merged));
    FaultPoint("cache merge recorded " + shards);
    // Who has taken the claim over meanwhile has a log in which the sources still count.
    RETURN_IF_ERROR(owner_.check());
    for (const std::string& path : before) {
      env_.RemoveFile(path).IgnoreError();  // what stays goes with the folder
      FaultPoint("cache merge removed " + BaseName(path));
    }
    return absl::OkStatus();
  }

  absl::Status MergeAll() {
    const auto merge = [this](const std::vector<uint32_t>& sources) {
      uint32_t damaged = 0;
      const absl::Status merged = Merge(sources, &damaged);
      return merged.ok() ? merged : UndoDamaged(damaged, merged);
    };
    while (true) {
      const auto sources = NextMerge(files(), owner_.merged_bytes, MergeWhat::kAll);
      if (sources.empty()) break;
      RETURN_IF_ERROR(merge(sources));
    }
    // In a group's folder another member may have begun the cache, and the system may forbid links
    // to files of another user (fs.protected_hardlinks).
    std::vector<uint32_t> others;
    for (const auto& [first, file] : files()) {
      if (IsOfAnotherUser(PathOf(file))) others.push_back(first);
    }
    for (const uint32_t first : others) RETURN_IF_ERROR(merge({first}));
    return absl::OkStatus();
  }

  // In the order of their shards, with the records of all of them.
  absl::StatusOr<std::vector<GenerationFile>> ReadFiles(std::vector<ShardRecord>* records) {
    std::vector<GenerationFile> read;
    for (const auto& [first, file] : files()) {
      const std::string path = PathOf(file);
      auto contents = ReadHeldContents(path, log_.history().dataset, file);
      if (!contents.ok()) return UndoDamaged(first, contents.status());
      records->insert(records->end(), contents->records.begin(), contents->records.end());
      read.push_back({{path, file.crc32c, file.bytes}, std::move(contents->places)});
    }
    return read;
  }

  // `why`, and when the file is damaged or gone its shards are not done any more.
  absl::Status UndoDamaged(uint32_t first, const absl::Status& why) {
    if (!absl::IsDataLoss(why) && !absl::IsNotFound(why)) return why;
    const std::string shards = ShardsOf(files().at(first));
    RETURN_IF_ERROR(log_.Undo(first));
    return DataLoss(MessageOf(why) + "; shards " + shards +
                    " are no longer done: run the same command again, which makes them anew");
  }

  Env& env_;
  const std::string dir_;
  const CacheOwner owner_;
  IngestLog log_;
  uint64_t unmerged_bytes_ = 0;  // of files below owner_.merged_bytes, or more
};

// A folder without a log is one where nothing has been taken in.
absl::Status CheckIsNew(Env& env, const std::string& dir) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, env.ListDir(dir));
  for (const std::string& name : names) {
    if (!name.ends_with(kSstSuffix)) continue;
    return DataLoss(dir + ": its ingest log is missing, though " + name + " is there");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<CacheBuilder>> CacheBuilder::Open(Env& env, const std::string& dir,
                                                                 const std::string& dataset,
                                                                 CacheOwner owner,
                                                                 std::vector<std::string>* notes) {
  RETURN_IF_ERROR(CheckDataset(dataset));
  RETURN_IF_ERROR(CreateSyncedDir(env, dir));
  IngestHistory history{dataset, {}};
  auto found = ReadIngestLog(env, dir, owner.claim);
  if (absl::IsNotFound(found.status())) {
    RETURN_IF_ERROR(CheckIsNew(env, dir));
  } else {
    ASSIGN_OR_RETURN(history, std::move(found));
  }
  if (history.dataset != dataset) {
    return FailedPrecondition(dir + ": holds data set " + history.dataset + ", expected " +
                              dataset);
  }
  ASSIGN_OR_RETURN(const std::string lost, LeaveOutLost(env, dir, &history.files));
  if (!lost.empty()) notes->push_back(lost);
  auto builder = std::make_unique<LoggedBuilder>(env, dir, std::move(owner), std::move(history));
  RETURN_IF_ERROR(builder->Begin());
  return builder;
}

}  // namespace halcyon::storage
