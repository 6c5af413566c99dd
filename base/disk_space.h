// How much room a disk has left.
#ifndef HALCYON_BASE_DISK_SPACE_H_
#define HALCYON_BASE_DISK_SPACE_H_

#include <cstdint>
#include <string>

#include "base/status.h"

namespace halcyon {

// Bytes that this user may still write to the file system of `path`. kNotFound: no such path.
absl::StatusOr<uint64_t> FreeBytes(const std::string& path);

}  // namespace halcyon

#endif  // HALCYON_BASE_DISK_SPACE_H_
