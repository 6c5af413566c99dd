// Bytes on the disk, of files and of folders with all in them.
#ifndef HALCYON_COORDINATOR_HOUSEKEEPING_DISK_USAGE_H_
#define HALCYON_COORDINATOR_HOUSEKEEPING_DISK_USAGE_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace halcyon::coordinator {

// A file that has several names (hard links) counts once, however many of them are added. Symbolic
// links are not followed. Not thread-safe.
class DiskUsage {
 public:
  // The bytes that this path adds. What is not there, or goes away meanwhile, counts nothing.
  uint64_t Add(const std::string& path);
  // What removing everything that was added gives back: files with a name elsewhere give nothing.
  uint64_t BytesFreed() const;

 private:
  struct File {
    uint64_t bytes = 0;
    uint64_t names = 0;        // links that the file has
    uint64_t names_added = 0;  // of them
  };
  uint64_t AddFile(const std::string& path);

  std::map<std::pair<uint64_t, uint64_t>, File> files_;  // by device and inode
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_HOUSEKEEPING_DISK_USAGE_H_
