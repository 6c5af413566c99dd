// What a process has read from disks, what its heap holds, and a way to begin without the page
// cache.
#ifndef HALCYON_BENCH_DISK_METER_H_
#define HALCYON_BENCH_DISK_METER_H_

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/check.h"

namespace halcyon::bench {

// By this process, as the system counts it (proc(5)).
inline uint64_t DiskBytesRead() {
  std::ifstream io("/proc/self/io");
  uint64_t value = 0;
  for (std::string name; io >> name >> value;) {
    if (name == "read_bytes:") return value;
  }
  return 0;
}

inline int64_t HeapBytes() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<int64_t>(info.uordblks + info.hblkhd);
}

// Of all files below the folder, which nobody has mapped.
inline void DropPages(const std::string& folder) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const int fd = open(entry.path().c_str(), O_RDONLY);
    HALCYON_CHECK(fdatasync(fd) == 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
    close(fd);
  }
}

}  // namespace halcyon::bench

#endif  // HALCYON_BENCH_DISK_METER_H_
