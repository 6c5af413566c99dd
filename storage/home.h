// The state folder: the paths in it, and the lock that gives it one owner.
//
//   HOME/                       mode 0700
//     lock                      flock; holds who owns the folder: {"pid", "host", "job", "since"}
//     journal/                  RocksDB: incarnation, jobs, artifacts, source digests
//     jobs/JOB/                 job.toml (resolved), logs/, socket, alive, summary.json
//     artifacts/KIND/FP16/      a finished artifact: renamed to this when whole, with artifact.json
//     artifacts/KIND/FP16.tmp/  a cache that is being published
//     work/KIND-FP16/           a stage being made: SSTs, checkpoints, metrics; scratch
//
// FP16 is the first 16 digits of the stage's fingerprint.
#ifndef HALCYON_STORAGE_HOME_H_
#define HALCYON_STORAGE_HOME_H_

#include <memory>
#include <string>
#include <string_view>

#include "base/file_descriptor.h"
#include "base/status.h"

namespace halcyon::storage {

// Digits of a fingerprint in the names of folders.
inline constexpr size_t kShortFingerprint = 16;

// --home, else HALCYON_HOME, else $XDG_STATE_HOME/halcyon, else ~/.local/state/halcyon; absolute.
absl::StatusOr<std::string> ChooseHome(const std::string& flag);

// Paths only; makes nothing.
struct HomeLayout {
  std::string root;

  std::string Lock() const;
  std::string Journal() const;
  std::string Job(const std::string& job_id) const;
  std::string JobSpec(const std::string& job_id) const;  // job.toml
  std::string JobLogs(const std::string& job_id) const;  // logs/
  std::string Socket(const std::string& job_id) const;   // a path; "ipc://" + it is the endpoint
  std::string AliveFile(const std::string& job_id) const;
  std::string ArtifactsOf(const std::string& kind) const;
  std::string Artifact(const std::string& kind, const std::string& fingerprint) const;
  std::string Work(const std::string& kind, const std::string& fingerprint) const;
};

// For reading: the folder need not exist. kInvalidArgument when it exists and cannot be read.
absl::StatusOr<HomeLayout> FindHome(const std::string& root);

// Makes the folder (0700) with artifacts/, jobs/, work/; a folder that exists keeps its mode, those
// three are private all the same. kInvalidArgument when the path is not a folder one may write.
absl::StatusOr<HomeLayout> OpenHome(const std::string& root);

// An exclusive or shared flock on a file, held until destruction or the death of the process.
class FileLock {
 public:
  enum class Mode { kShared, kExclusive };
  // Opens (and creates) the file; nullptr when another process holds a lock that conflicts.
  static absl::StatusOr<std::unique_ptr<FileLock>> TryAcquire(const std::string& path, Mode mode);

  // Replaces the file's contents, e.g. to say who holds it.
  absl::Status Write(std::string_view contents);

 private:
  explicit FileLock(FileDescriptor file) : file_(std::move(file)) {}
  FileDescriptor file_;
};

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_HOME_H_
