// How much room a disk has left.
#ifndef HALCYON_BASE_DISK_SPACE_H_
#define HALCYON_BASE_DISK_SPACE_H_

#include <cstdint>
#include <string>

#include "base/status.h"

namespace halcyon {

struct DiskRoom {
  uint64_t bytes = 0;
  uint64_t files = 0;  // inodes; the largest number where the file system does not count them
};

// What this user may still write to the file system of `path`. kNotFound: no such path.
absl::StatusOr<DiskRoom> FreeRoom(const std::string& path);

// kResourceExhausted, naming the path and both numbers, when less is free than is needed; `purpose`
// says what for: "starting the ranks".
absl::Status CheckRoom(const DiskRoom& free, const DiskRoom& needed, const std::string& path,
                       const std::string& purpose);

}  // namespace halcyon

#endif  // HALCYON_BASE_DISK_SPACE_H_
