#include "storage/journal.h"

#include <rocksdb/db.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/digest.h"
#include "base/env.h"
#include "storage/journal_records.h"
#include "storage/rocks.h"

namespace halcyon::storage {
namespace {

constexpr size_t kJournalBufferBytes = 1 << 20;
constexpr int kOpenFilesMax = 64;

constexpr char kFormatKey[] = "format";
constexpr char kIncarnationKey[] = "meta/incarnation";
constexpr char kFenceKey[] = "meta/fence";
constexpr char kJobPrefix[] = "job/";
constexpr char kArtifactPrefix[] = "artifact/";
constexpr char kSourcePrefix[] = "source/";

std::string ArtifactKey(jobs::StageKind kind, const std::string& fingerprint) {
  return kArtifactPrefix + std::string(jobs::StageName(kind)) + "/" + fingerprint;
}

rocksdb::Options JournalOptions() {
  rocksdb::Options options = QuietOptions();
  options.write_buffer_size = kJournalBufferBytes;
  options.max_open_files = kOpenFilesMax;
  // The default ends without an error at the first damaged record and drops the later ones.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  return options;
}

// A run goes on without a journal, from the artifacts and checkpoints on the disk.
absl::Status WithRemedy(const absl::Status& status, const std::string& path) {
  if (!absl::IsDataLoss(status)) return status;
  return DataLoss(MessageOf(status) + "; the journal is damaged: move it aside (mv " + path + " " +
                  path + ".damaged) and run the same command again, which goes on from the " +
                  "artifacts and checkpoints on the disk");
}

template <typename Record>
void SortNewestFirst(std::vector<Record>* records) {
  std::stable_sort(records->begin(), records->end(),
                   [](const Record& a, const Record& b) { return a.created_ms > b.created_ms; });
}

class RocksJournal : public Journal {
 public:
  RocksJournal(std::unique_ptr<rocksdb::DB> db, bool read_only)
      : db_(std::move(db)), read_only_(read_only) {}

  absl::Status CheckFormat() {
    auto version = GetNumber(kFormatKey);
    if (absl::IsNotFound(version.status())) {
      // A crash between making the database and this write leaves an empty one.
      return read_only_ ? NotFound(db_->GetName() + ": the journal is empty")
                        : Put(kFormatKey, EncodeNumber(kJournalVersion));
    }
    RETURN_IF_ERROR(version.status());
    if (*version <= kJournalVersion) return absl::OkStatus();
    return FailedPrecondition(db_->GetName() + ": a journal of format " + std::to_string(*version) +
                              ", this program reads up to " + std::to_string(kJournalVersion) +
                              "; use a newer Halcyon or another --home");
  }

  absl::StatusOr<uint64_t> LastIncarnation() override {
    const auto last = GetNumber(kIncarnationKey);
    if (absl::IsNotFound(last.status())) return 0;
    return last;
  }

  absl::StatusOr<uint64_t> NextIncarnation(uint64_t above) override {
    ASSIGN_OR_RETURN(const uint64_t last, LastIncarnation());
    return Advance(kIncarnationKey, std::max(last, above) - last + 1);
  }

  absl::StatusOr<uint64_t> ReserveFences(uint64_t count) override {
    ASSIGN_OR_RETURN(const uint64_t last, Advance(kFenceKey, count));
    return last - count + 1;
  }

  absl::Status PutJob(const JobRecord& job) override {
    return Put(kJobPrefix + job.job_id, EncodeJob(job));
  }
  absl::StatusOr<JobRecord> GetJob(const std::string& job_id) override {
    return Read(kJobPrefix + job_id, DecodeJob);
  }
  absl::StatusOr<std::vector<JobRecord>> ListJobs() override { return List(kJobPrefix, DecodeJob); }
  absl::Status RemoveJob(const std::string& job_id) override { return Remove(kJobPrefix + job_id); }

  absl::Status PutArtifact(const ArtifactRecord& artifact) override {
    return Put(ArtifactKey(artifact.kind, artifact.fingerprint), EncodeArtifact(artifact));
  }
  absl::StatusOr<ArtifactRecord> FindArtifact(jobs::StageKind kind,
                                              const std::string& fingerprint) override {
    return Read(ArtifactKey(kind, fingerprint), DecodeArtifact);
  }
  absl::StatusOr<std::vector<ArtifactRecord>> ListArtifacts() override {
    return List(kArtifactPrefix, DecodeArtifact);
  }
  absl::Status RemoveArtifact(jobs::StageKind kind, const std::string& fingerprint) override {
    return Remove(ArtifactKey(kind, fingerprint));
  }

  absl::Status PutSource(const SourceRecord& source) override {
    return Put(kSourcePrefix + source.path, EncodeSource(source));
  }
  absl::StatusOr<SourceRecord> FindSource(const std::string& path) override {
    return Read(kSourcePrefix + path, DecodeSource);
  }

 private:
  absl::Status Put(const std::string& key, const std::string& value) {
    if (read_only_) return FailedPrecondition(Where(key) + ": opened for reading only");
    rocksdb::WriteOptions options;
    options.sync = true;
    return FromRocks(db_->Put(options, key, value), Where(key));
  }

  absl::Status Remove(const std::string& key) {
    if (read_only_) return FailedPrecondition(Where(key) + ": opened for reading only");
    rocksdb::WriteOptions options;
    options.sync = true;
    return FromRocks(db_->Delete(options, key), Where(key));
  }

  absl::StatusOr<std::string> Get(const std::string& key) {
    std::string value;
    RETURN_IF_ERROR(WithRemedy(FromRocks(db_->Get(rocksdb::ReadOptions(), key, &value), Where(key)),
                               db_->GetName()));
    return value;
  }

  absl::StatusOr<uint64_t> GetNumber(const std::string& key) { return Read(key, DecodeNumber); }

  // Adds `count` to a counter that starts at 0 and returns its new value.
  absl::StatusOr<uint64_t> Advance(const std::string& key, uint64_t count) {
    auto last = GetNumber(key);
    if (!last.ok() && !absl::IsNotFound(last.status())) return last.status();
    const uint64_t next = last.value_or(0) + count;
    RETURN_IF_ERROR(Put(key, EncodeNumber(next)));
    return next;
  }

  template <typename Record>
  absl::StatusOr<Record> Read(const std::string& key,
                              absl::StatusOr<Record> (*decode)(std::string_view)) {
    ASSIGN_OR_RETURN(const std::string value, Get(key));
    auto record = decode(value);
    RETURN_IF_ERROR(WithRemedy(Annotate(record.status(), Where(key)), db_->GetName()));
    return record;
  }

  template <typename Record>
  absl::StatusOr<std::vector<Record>> List(const std::string& prefix,
                                           absl::StatusOr<Record> (*decode)(std::string_view)) {
    std::vector<Record> records;
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(rocksdb::ReadOptions()));
    for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
      auto record = decode(it->value().ToStringView());
      RETURN_IF_ERROR(
          WithRemedy(Annotate(record.status(), Where(it->key().ToString())), db_->GetName()));
      records.push_back(*std::move(record));
    }
    RETURN_IF_ERROR(WithRemedy(FromRocks(it->status(), Where(prefix)), db_->GetName()));
    SortNewestFirst(&records);
    return records;
  }

  std::string Where(const std::string& key) const { return db_->GetName() + ": " + key; }

  std::unique_ptr<rocksdb::DB> db_;
  const bool read_only_;
};

absl::StatusOr<std::unique_ptr<Journal>> MakeJournal(rocksdb::DB* db, bool read_only) {
  auto journal = std::make_unique<RocksJournal>(std::unique_ptr<rocksdb::DB>(db), read_only);
  RETURN_IF_ERROR(journal->CheckFormat());
  return journal;
}

absl::StatusOr<SourceRecord> Stat(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, "cannot read " + path);
  SourceRecord record;
  record.path = path;
  record.size = static_cast<uint64_t>(info.st_size);
  record.mtime_ns = int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
  record.ctime_ns = int64_t{info.st_ctim.tv_sec} * 1'000'000'000 + info.st_ctim.tv_nsec;
  record.inode = info.st_ino;
  return record;
}

bool SameFile(const SourceRecord& a, const SourceRecord& b) {
  return a.size == b.size && a.mtime_ns == b.mtime_ns && a.ctime_ns == b.ctime_ns &&
         a.inode == b.inode;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(const std::string& path) {
  RETURN_IF_ERROR(Env::Posix()->CreateDirs(path));
  rocksdb::Options options = JournalOptions();
  options.create_if_missing = true;
  RETURN_IF_ERROR(WithRemedy(CheckHasCurrentFile(path), path));
  rocksdb::DB* db = nullptr;
  RETURN_IF_ERROR(WithRemedy(
      FromRocksOpen(rocksdb::DB::Open(options, path, &db), "cannot open the journal " + path),
      path));
  return MakeJournal(db, /*read_only=*/false);
}

absl::StatusOr<std::unique_ptr<Journal>> Journal::OpenReadOnly(const std::string& path) {
  if (!Env::Posix()->Exists(JoinPath(path, "CURRENT"))) {
    return NotFound("no journal at " + path);
  }
  rocksdb::DB* db = nullptr;
  RETURN_IF_ERROR(FromRocksOpen(rocksdb::DB::OpenForReadOnly(JournalOptions(), path, &db),
                                "cannot open the journal " + path));
  return MakeJournal(db, /*read_only=*/true);
}

absl::StatusOr<std::string> SourceDigest(Journal& journal, const std::string& path) {
  ASSIGN_OR_RETURN(const SourceRecord now, Stat(path));
  const auto remembered = journal.FindSource(path);
  if (remembered.ok() && SameFile(*remembered, now)) return remembered->sha256;
  if (!remembered.ok() && !absl::IsNotFound(remembered.status())) return remembered.status();
  return ReadSourceDigest(journal, path);
}

absl::StatusOr<std::string> ReadSourceDigest(Journal& journal, const std::string& path) {
  ASSIGN_OR_RETURN(SourceRecord before, Stat(path));
  ASSIGN_OR_RETURN(before.sha256, Sha256OfFile(path));
  ASSIGN_OR_RETURN(const SourceRecord after, Stat(path));
  if (!SameFile(before, after)) {
    return FailedPrecondition(path + ": changed while it was read; start again when it is done");
  }
  RETURN_IF_ERROR(journal.PutSource(before));
  return before.sha256;
}

}  // namespace halcyon::storage
