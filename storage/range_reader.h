// Reads ranges of files that never change. What is in the system's page cache is used where it
// lies, through a mapping; anything else is read by one call for exactly the range, so that a
// window costs its own bytes, and a disk or server that fails gives an error and not a signal.
#ifndef HALCYON_STORAGE_RANGE_READER_H_
#define HALCYON_STORAGE_RANGE_READER_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"

namespace halcyon::storage {

// Thread-safe. A file is opened when it is first read; of many files some are open at a time.
class RangeReader {
 public:
  // The most files that are open together, each with one descriptor and one mapping.
  RangeReader(std::vector<std::string> paths, size_t open_files_max);
  ~RangeReader();

  class File;
  // The bytes stay while this lives.
  struct Range {
    std::shared_ptr<const File> file;
    std::unique_ptr<char[]> copy;  // null when they are mapped
    std::string_view bytes;
  };
  // kDataLoss: the file ends before the range does, or is gone; kInternal: it cannot be read.
  absl::StatusOr<Range> Read(uint32_t file, uint64_t offset, size_t bytes);

 private:
  absl::StatusOr<std::shared_ptr<const File>> Open(uint32_t file);

  const std::vector<std::string> paths_;
  const size_t open_files_max_;
  Mutex mutex_;
  std::vector<std::shared_ptr<const File>> files_ ABSL_GUARDED_BY(mutex_);
  std::deque<uint32_t> open_ ABSL_GUARDED_BY(mutex_);  // the first opened first
};

// A whole file, mapped; nothing when it is empty.
class FileMapping {
 public:
  static absl::StatusOr<FileMapping> Map(const std::string& path);
  FileMapping() = default;
  FileMapping(int fd, size_t bytes);  // empty where the system maps nothing
  FileMapping(FileMapping&& other) noexcept { *this = std::move(other); }
  FileMapping& operator=(FileMapping&& other) noexcept;
  ~FileMapping();
  std::string_view bytes() const { return {data_, size_}; }

 private:
  const char* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_RANGE_READER_H_
