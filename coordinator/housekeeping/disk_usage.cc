#include "coordinator/housekeeping/disk_usage.h"

#include <sys/stat.h>

#include <filesystem>

namespace halcyon::coordinator {

uint64_t DiskUsage::AddFile(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0 || S_ISDIR(info.st_mode)) return 0;
  File& file = files_[{info.st_dev, info.st_ino}];
  file.bytes = static_cast<uint64_t>(info.st_size);
  file.names = info.st_nlink;
  return file.names_added++ == 0 ? file.bytes : 0;
}

uint64_t DiskUsage::Add(const std::string& path) {
  uint64_t bytes = AddFile(path);
  std::error_code error;
  std::filesystem::recursive_directory_iterator it(path, error), end;
  while (!error && it != end) {
    bytes += AddFile(it->path().string());
    it.increment(error);
  }
  return bytes;
}

uint64_t DiskUsage::BytesFreed() const {
  uint64_t bytes = 0;
  for (const auto& [id, file] : files_) {
    if (file.names_added >= file.names) bytes += file.bytes;
  }
  return bytes;
}

}  // namespace halcyon::coordinator
