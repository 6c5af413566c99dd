// How fast a disk writes and reads.
#ifndef HALCYON_BASE_DISK_RATE_H_
#define HALCYON_BASE_DISK_RATE_H_

#include <cstdint>
#include <string>

#include "base/status.h"

namespace halcyon {

struct DiskRate {
  double write_bytes = 0, read_bytes = 0;  // a second
};

// Writes `bytes` to a file in `folder`, syncs it, reads it back after asking the system to drop it
// from the page cache, and removes it. A file system in memory, or one that keeps what it was asked
// to drop, reads as fast as memory. Errors as open(2) and write(2) have them; nothing is left.
// REQUIRES: bytes > 0.
absl::StatusOr<DiskRate> MeasureDiskRate(const std::string& folder, uint64_t bytes);

}  // namespace halcyon

#endif  // HALCYON_BASE_DISK_RATE_H_
