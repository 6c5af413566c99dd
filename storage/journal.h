// The coordinator's journal: what must outlive the coordinator. A RocksDB whose every write is
// synced. One owner writes (the holder of the home's lock); others may read while there is no
// owner.
//
// Values are JSON. A reader that meets a record it cannot parse returns kDataLoss naming the key.
#ifndef HALCYON_STORAGE_JOURNAL_H_
#define HALCYON_STORAGE_JOURNAL_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "jobs/job_state.h"
#include "jobs/stages.h"

namespace halcyon::storage {

struct StageRecord {
  jobs::StageKind kind{};
  jobs::StageState state = jobs::StageState::kWaiting;
  std::string fingerprint;  // "" until the inputs are known
  std::string note;         // "reused", or what changed, or why it failed
};

struct JobRecord {
  std::string job_id;
  std::string name;
  std::string spec_path;  // as the user gave it, absolute
  jobs::JobState state = jobs::JobState::kQueued;
  int64_t created_ms = 0;
  int64_t updated_ms = 0;
  std::string error;
  std::vector<StageRecord> stages;
};

// A finished artifact.
struct ArtifactRecord {
  jobs::StageKind kind{};
  std::string fingerprint;
  std::string content_digest;  // its identity downstream: SHA-256 of what it holds
  std::vector<jobs::FingerprintField> fields;
  std::string path;    // folder
  std::string job_id;  // that made it
  int64_t created_ms = 0;
  uint64_t bytes = 0;
};

// The identity and the digest of a source file when it was last read whole.
struct SourceRecord {
  std::string path;
  uint64_t size = 0;
  int64_t mtime_ns = 0;
  uint64_t inode = 0;
  std::string sha256;
  int64_t ctime_ns = 0;  // of the last change to contents or metadata; programs cannot set it
};

class Journal {
 public:
  // REQUIRES: the caller holds the home's lock. kDataLoss when the log is damaged in the middle
  // (a torn last record is normal after a crash and is dropped) or files are missing; the message
  // says what to do. A log that lost its end opens without error: coordinator/recovery.h notices.
  static absl::StatusOr<std::unique_ptr<Journal>> Open(const std::string& path);
  // Does not write. kNotFound when there is none.
  static absl::StatusOr<std::unique_ptr<Journal>> OpenReadOnly(const std::string& path);
  virtual ~Journal() = default;

  // What NextIncarnation returned last; 0 when it never did.
  virtual absl::StatusOr<uint64_t> LastIncarnation() = 0;
  // The next number above both the last and `above`, synced: 1, 2, ...
  virtual absl::StatusOr<uint64_t> NextIncarnation(uint64_t above = 0) = 0;
  // A counter for fencing tokens: reserves `count` of them, synced; returns the first.
  virtual absl::StatusOr<uint64_t> ReserveFences(uint64_t count) = 0;

  virtual absl::Status PutJob(const JobRecord& job) = 0;
  virtual absl::StatusOr<JobRecord> GetJob(const std::string& job_id) = 0;  // kNotFound
  virtual absl::StatusOr<std::vector<JobRecord>> ListJobs() = 0;            // newest first
  virtual absl::Status RemoveJob(const std::string& job_id) = 0;  // fine when it is not there

  virtual absl::Status PutArtifact(const ArtifactRecord& artifact) = 0;
  virtual absl::StatusOr<ArtifactRecord> FindArtifact(jobs::StageKind kind,
                                                      const std::string& fingerprint) = 0;
  virtual absl::StatusOr<std::vector<ArtifactRecord>> ListArtifacts() = 0;  // newest first
  // Fine when it is not there.
  virtual absl::Status RemoveArtifact(jobs::StageKind kind, const std::string& fingerprint) = 0;

  virtual absl::Status PutSource(const SourceRecord& source) = 0;
  virtual absl::StatusOr<SourceRecord> FindSource(const std::string& path) = 0;  // kNotFound
};

// SHA-256 of a source file: from the journal when (path, size, mtime, ctime, inode) are as
// remembered, else read whole and remembered. What is remembered only saves reading: a stage that
// reads the file's contents compares their digest with this one, and when they differ the next run
// reads the file anew.
absl::StatusOr<std::string> SourceDigest(Journal& journal, const std::string& path);
// The same, but always reads the file. kFailedPrecondition when the file changes meanwhile.
absl::StatusOr<std::string> ReadSourceDigest(Journal& journal, const std::string& path);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_JOURNAL_H_
