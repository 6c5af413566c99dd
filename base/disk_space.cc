#include "base/disk_space.h"

#include <sys/statvfs.h>

#include <cerrno>
#include <limits>

namespace halcyon {

absl::StatusOr<DiskRoom> FreeRoom(const std::string& path) {
  struct statvfs info;
  if (statvfs(path.c_str(), &info) != 0) return ErrnoStatus(errno, "cannot look at " + path);
  // A file system that allocates inodes on demand reports a total of 0.
  return DiskRoom{static_cast<uint64_t>(info.f_bavail) * info.f_frsize,
                  info.f_files > 0 ? info.f_favail : std::numeric_limits<uint64_t>::max()};
}

absl::Status CheckRoom(const DiskRoom& free, const DiskRoom& needed, const std::string& path,
                       const std::string& purpose) {
  constexpr int kMiBShift = 20;
  const std::string full = path + ": No space left on device: ";
  if (free.bytes < needed.bytes) {
    return ResourceExhausted(full + std::to_string(free.bytes >> kMiBShift) + " MiB are free, " +
                             purpose + " takes " + std::to_string(needed.bytes >> kMiBShift) +
                             " MiB");
  }
  if (free.files < needed.files) {
    return ResourceExhausted(full + std::to_string(free.files) +
                             " more files can be made (inodes), " + purpose + " takes " +
                             std::to_string(needed.files));
  }
  return absl::OkStatus();
}

}  // namespace halcyon
