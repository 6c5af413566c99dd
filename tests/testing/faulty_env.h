// A file system that fails on demand: a disk that fills up, and a power cut that forgets whatever
// was not synced. Put it between the code under test and Env::Posix().
#ifndef HALCYON_TESTS_TESTING_FAULTY_ENV_H_
#define HALCYON_TESTS_TESTING_FAULTY_ENV_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/mutex.h"
#include "base/status.h"

namespace halcyon::testing {

// Thread-safe. Knows only of changes made through it: what was there before counts as synced.
//
// What a power cut takes away:
//   - the bytes of a file since its last Sync (a truncated old file is left empty);
//   - new files, new folders and renames whose parent folder had no SyncDir since; a file that such
//     a rename replaced is back with its synced bytes. A rename needs the SyncDir of its target's
//     parent.
// Removals last at once.
class FaultyEnv : public Env {
 public:
  // `base` must outlive this.
  explicit FaultyEnv(Env* base) : base_(base) {}

  // After `bytes` more bytes, Append writes what still fits and returns `status`, which is not OK.
  void FailWritesAfter(
      uint64_t bytes, absl::Status status = ResourceExhausted("injected: No space left on device"));
  void StopFailing();

  // The power cut. Files open for writing are lost: their next call is kUnavailable.
  absl::Status DropUnsynced();

  absl::StatusOr<std::unique_ptr<WritableFile>> NewWritableFile(const std::string& path) override;
  absl::StatusOr<std::string> ReadFile(const std::string& path) override;
  absl::StatusOr<std::string> ReadRange(const std::string& path, uint64_t offset,
                                        uint64_t size) override;
  absl::StatusOr<uint64_t> FileSize(const std::string& path) override;
  bool Exists(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> ListDir(const std::string& path) override;
  absl::Status CreateDirs(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status RemoveFile(const std::string& path) override;
  absl::Status RemoveTree(const std::string& path) override;
  absl::Status SyncDir(const std::string& path) override;

 private:
  class File;

  // A change of a folder's entries that is durable after its SyncDir.
  struct EntryChange {
    std::string path;                     // the new entry
    std::string renamed_from;             // empty: it was created
    std::optional<std::string> replaced;  // synced bytes of the file that a rename replaced
  };

  absl::Status Undo(const EntryChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Puts `to` in the place of `from` in the paths of all files below or at `from`.
  void MoveSizes(const std::string& from, const std::string& to)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::string> SyncedBytes(const std::string& path)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Overwrite(const std::string& path, std::string_view bytes);

  Env* const base_;
  Mutex mutex_;
  std::optional<uint64_t> bytes_left_ ABSL_GUARDED_BY(mutex_);
  absl::Status write_error_ ABSL_GUARDED_BY(mutex_);
  uint64_t power_cuts_ ABSL_GUARDED_BY(mutex_) = 0;
  // Of the files written through this.
  std::map<std::string, uint64_t> synced_sizes_ ABSL_GUARDED_BY(mutex_);
  std::vector<EntryChange> unsynced_entries_ ABSL_GUARDED_BY(mutex_);  // oldest first
};

}  // namespace halcyon::testing

#endif  // HALCYON_TESTS_TESTING_FAULTY_ENV_H_
