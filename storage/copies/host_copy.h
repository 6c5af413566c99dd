// Copies of published cache generations on a disk of this machine, so that training reads them
// there and not over the network. One copy serves all processes of a user on the machine:
//
//   FOLDER/halcyon-UID/       mode 0700 (private_folder.h)
//     lock                    flock: held by whoever takes a copy into use, or removes some
//     NAME/                   a copy; NAME is of the SHA-256 of the generation's manifest
//       use                   flock, shared: by each process that may read the copy; its time is
//                             that of the last one's coming
//       copying               flock: by the process that copies; its time is that of the last piece
//       failed                why the last process that copied could not
//       generation/           the files, then manifest.json, which makes the copy whole
//
// Locks end with their process, also by kill -9. What it has left is removed by the next one that
// copies, or when room is needed.
#ifndef HALCYON_STORAGE_COPIES_HOST_COPY_H_
#define HALCYON_STORAGE_COPIES_HOST_COPY_H_

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/disk_space.h"
#include "base/env.h"
#include "base/status.h"
#include "storage/home.h"

namespace halcyon::storage {

// A copy is made only where so much stays free beside it.
inline constexpr uint64_t kCopyRoomLeftBytes = uint64_t{1} << 30;
// Another process' copy that has not grown for so long is not waited for.
inline constexpr int64_t kCopyStalledMs = 60'000;

struct CopyOptions {
  std::string folder;  // on a disk of this machine; must exist
  // Called after each piece of a file, and while another process copies each time that it was seen
  // to have gone on.
  std::function<void()> advanced = [] {};
  // Asked after each piece and while waiting: whether to give up.
  std::function<bool()> stops = [] { return false; };
  std::function<absl::StatusOr<DiskRoom>(const std::string&)> free_room = FreeRoom;
  Clock* clock = Clock::Real();
};

// A copy that stays until this is destroyed, or discarded by a process that found it damaged.
// Thread-safe.
class HostCopy {
 public:
  HostCopy(std::string dir, std::unique_ptr<FileLock> use)
      : dir_(std::move(dir)), use_(std::move(use)) {}

  const std::string& dir() const { return dir_; }
  // The folder for CacheReader::Open.
  std::string generation() const { return JoinPath(dir_, "generation"); }
  // Removes a copy that cannot be read, so that the next one who wants it copies again. Processes
  // that read it go on with the files that they have open.
  void Discard(const absl::Status& why) const;

 private:
  const std::string dir_;
  const std::unique_ptr<FileLock> use_;
};

// The copy of the published generation in the folder `generation`, whose manifest the caller has
// found to be right: one that is there, if its sizes, index and records are right, or a new one,
// each file compared with its checksum in the manifest on the way. Waits while another process
// makes it. Copies that no process uses are removed when room is needed, the least recently used
// first.
//
// Of an error nothing stays, and the generation itself can be read all the same. kAborted: `stops`
// said so; kResourceExhausted: there is no room; kDataLoss: a file is not what the manifest says;
// kFailedPrecondition: `options.folder` is not safe; kUnavailable: the process that copied has
// failed, or does not go on.
absl::StatusOr<std::shared_ptr<const HostCopy>> TakeCopy(const std::string& generation,
                                                         const CopyOptions& options);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_COPIES_HOST_COPY_H_
