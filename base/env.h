// The file system as a dependency, for everything whose durability is promised: checkpoints,
// published manifests, small state files. Tests inject one that fails or forgets unsynced bytes.
#ifndef HALCYON_BASE_ENV_H_
#define HALCYON_BASE_ENV_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace halcyon {

// A new file being written from its start. Not thread-safe. The destructor closes, without sync.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual absl::Status Append(std::string_view bytes) = 0;
  // Bytes are on the disk when this returns OK (fsync). The directory entry is not: SyncDir.
  virtual absl::Status Sync() = 0;
  virtual absl::Status Close() = 0;
};

// Thread-safe. A full disk is kResourceExhausted, a missing path kNotFound; messages name the path.
class Env {
 public:
  virtual ~Env() = default;
  // Truncates an existing file.
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> NewWritableFile(
      const std::string& path) = 0;
  virtual absl::StatusOr<std::string> ReadFile(const std::string& path) = 0;
  // `size` bytes from `offset`; kDataLoss when the file ends before.
  virtual absl::StatusOr<std::string> ReadRange(const std::string& path, uint64_t offset,
                                                uint64_t size) = 0;
  virtual absl::StatusOr<uint64_t> FileSize(const std::string& path) = 0;
  // False only when the path certainly does not exist. When the system cannot tell (permission, a
  // failing disk) it is true, and reading the path returns the error.
  virtual bool Exists(const std::string& path) = 0;
  // Names (not paths) of a folder's entries, sorted.
  virtual absl::StatusOr<std::vector<std::string>> ListDir(const std::string& path) = 0;
  // Makes the folder and its parents; OK when it exists. New folders get mode 0700.
  // Here and above: in a folder of a group also its rights (base/group_rights.h).
  virtual absl::Status CreateDirs(const std::string& path) = 0;
  // Replaces `to` atomically. The directory entry is durable only after SyncDir.
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status RemoveFile(const std::string& path) = 0;
  // Removes a folder and everything in it; OK when it does not exist.
  virtual absl::Status RemoveTree(const std::string& path) = 0;
  virtual absl::Status SyncDir(const std::string& path) = 0;

  // The operating system's file system; never destroyed.
  static Env* Posix();
};

// CreateDirs of a folder whose entry is on the disk when it returns, unless it existed before.
// REQUIRES: the entry of the folder above is.
absl::Status CreateSyncedDir(Env& env, const std::string& path);

// Writes path.tmp, syncs, renames over `path`, syncs the folder: afterwards a reader sees the old
// bytes or the new, never a mixture, whenever a process is killed.
absl::Status WriteFileAtomically(Env& env, const std::string& path, std::string_view bytes);

enum class Durability {
  kSynced,    // on the disk when the call returns
  kUnsynced,  // a power cut may leave the file empty: for what is made again
};
// What WriteFileAtomically does, by way of `temporary`, in the same folder.
absl::Status ReplaceFile(Env& env, const std::string& temporary, const std::string& path,
                         std::string_view bytes, Durability durability);

std::string JoinPath(std::string_view a, std::string_view b);
// "/a/b/c" -> "/a/b"; "c" -> ".".
std::string DirName(const std::string& path);
// "/a/b/c" -> "c".
std::string BaseName(const std::string& path);

}  // namespace halcyon

#endif  // HALCYON_BASE_ENV_H_
