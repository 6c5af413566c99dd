#include "base/disk_space.h"

#include <sys/statvfs.h>

#include <cerrno>

namespace halcyon {

absl::StatusOr<uint64_t> FreeBytes(const std::string& path) {
  struct statvfs info;
  if (statvfs(path.c_str(), &info) != 0) return ErrnoStatus(errno, "cannot look at " + path);
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

}  // namespace halcyon
