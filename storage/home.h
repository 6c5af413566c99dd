// The state folder: its format, and the paths in it. Many jobs use one at the same time, on one
// machine or on many that share it; docs/state_folder.md says who may write what.
//
//   HOME/                       mode 0700
//     format                    "2"
//     sharing.json              the group that shares this folder (sharing.h); else there is none
//     jobs/JOB/                 job.toml (resolved), status.json, logs/, socket, alive
//     jobs/JOB/owner/           the lease of the job's coordinator (lease.h): its number is the
//                               coordinator's incarnation
//     jobs/JOB/journal/         what must outlive the coordinator (job_journal.h)
//     claims/KIND-FP16/         the lease of the job that makes a stage: its number is part of the
//                               fence of what is written in work/KIND-FP16
//     artifacts/KIND/FP16/      a finished artifact: renamed to this when whole, with artifact.json
//     artifacts/KIND/FP16.tmp/  a cache that is being published
//     work/KIND-FP16/           a stage being made: SSTs, checkpoints, metrics; scratch
//     sources/                  remembered digests of source files (source_digests.h)
//       plans/                  and their shards (pipeline/sources/source_plans.h)
//
// FP16 is the first 16 digits of the stage's fingerprint.
#ifndef HALCYON_STORAGE_HOME_H_
#define HALCYON_STORAGE_HOME_H_

#include <cstdint>
#include <memory>
#include <string>

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

  std::string Format() const;
  std::string Sharing() const;  // sharing.json (sharing.h)
  std::string Sources() const;
  std::string Job(const std::string& job_id) const;
  std::string Owner(const std::string& job_id) const;
  std::string Journal(const std::string& job_id) const;
  std::string JobSpec(const std::string& job_id) const;  // job.toml
  std::string JobLogs(const std::string& job_id) const;  // logs/
  std::string Socket(const std::string& job_id) const;   // a path; "ipc://" + it is the endpoint
  std::string AliveFile(const std::string& job_id) const;
  std::string ArtifactsOf(const std::string& kind) const;
  std::string Artifact(const std::string& kind, const std::string& fingerprint) const;
  std::string Work(const std::string& kind, const std::string& fingerprint) const;
  std::string Claim(const std::string& kind, const std::string& fingerprint) const;
};

inline constexpr uint64_t kHomeFormat = 2;

// For reading: the folder need not exist. kInvalidArgument when it exists and cannot be read.
absl::StatusOr<HomeLayout> FindHome(const std::string& root);

// Makes the folder (0700) with artifacts/, jobs/, work/, ...; a folder that exists keeps its mode,
// those are private all the same, unless it is shared (sharing.h). Then this process makes its
// files with the umask 0007 from here on. kFailedPrecondition when modes and sharing contradict
// each other. One of format 1 (one job at a time, a central journal) is brought
// to the present format: jobs, artifacts and unfinished work stay. kInvalidArgument when the path
// is not a folder one may write, or a program of format 1 is using it; kFailedPrecondition when it
// is of a newer format.
absl::StatusOr<HomeLayout> OpenHome(const std::string& root);

// An exclusive or shared flock on a file, held until destruction or the death of the process.
class FileLock {
 public:
  enum class Mode { kShared, kExclusive };
  // Opens (and creates) the file; nullptr when another process holds a lock that conflicts.
  static absl::StatusOr<std::unique_ptr<FileLock>> TryAcquire(const std::string& path, Mode mode);

 private:
  explicit FileLock(FileDescriptor file) : file_(std::move(file)) {}
  FileDescriptor file_;
};

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_HOME_H_
