#include "storage/range_reader.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/file_descriptor.h"

namespace halcyon::storage {
namespace {

// Of what mincore tells about: a page of the smallest size that there is.
constexpr uintptr_t kSmallestPage = 4096;
// A larger range is copied, which costs the same for each byte as reading a small one.
constexpr size_t kMappedRangeMax = 1 << 20;

uintptr_t PageSize() {
  static const auto size = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  return size;
}

// Whether touching these mapped bytes reads nothing from the disk.
bool IsInPageCache(std::string_view bytes) {
  std::array<unsigned char, kMappedRangeMax / kSmallestPage + 2> pages;
  const auto data = reinterpret_cast<uintptr_t>(bytes.data());
  const uintptr_t begin = data - data % PageSize();
  const size_t length = data + bytes.size() - begin;
  if (mincore(reinterpret_cast<void*>(begin), length, pages.data()) != 0) return false;
  const size_t count = (length - 1) / PageSize() + 1;
  return std::all_of(pages.begin(), pages.begin() + static_cast<ptrdiff_t>(count),
                     [](unsigned char page) { return (page & 1) != 0; });
}

absl::StatusOr<struct stat> StatOf(int fd, const std::string& path) {
  struct stat info;
  if (fstat(fd, &info) != 0) return ErrnoStatus(errno, "cannot read " + path);
  return info;
}

// mincore answers everybody else "yes" for all pages.
bool MayAskAboutPageCache(int fd, const struct stat& info) {
  return info.st_uid == geteuid() || faccessat(fd, "", W_OK, AT_EACCESS | AT_EMPTY_PATH) == 0;
}

}  // namespace

FileMapping::FileMapping(int fd, size_t bytes) {
  void* const at = bytes == 0 ? MAP_FAILED : mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return;
  // Nothing around a page that is touched is read with it.
  madvise(at, bytes, MADV_RANDOM);
  data_ = static_cast<const char*>(at);
  size_ = bytes;
}

FileMapping& FileMapping::operator=(FileMapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

FileMapping::~FileMapping() {
  if (data_ != nullptr) munmap(const_cast<char*>(data_), size_);
}

absl::StatusOr<FileMapping> FileMapping::Map(const std::string& path) {
  ASSIGN_OR_RETURN(const FileDescriptor fd, FileDescriptor::Open(path, O_RDONLY));
  ASSIGN_OR_RETURN(const struct stat info, StatOf(fd.get(), path));
  FileMapping mapping(fd.get(), static_cast<size_t>(info.st_size));
  if (mapping.bytes().size() == static_cast<size_t>(info.st_size)) return mapping;
  return ErrnoStatus(errno, "cannot map " + path);
}

class RangeReader::File {
 public:
  static absl::StatusOr<std::shared_ptr<const File>> Open(const std::string& path) {
    auto file = std::make_shared<File>();
    file->path_ = path;
    auto fd = FileDescriptor::Open(path, O_RDONLY);
    if (absl::IsNotFound(fd.status())) return DataLoss(MessageOf(fd.status()));
    ASSIGN_OR_RETURN(file->fd_, std::move(fd));
    ASSIGN_OR_RETURN(const struct stat info, StatOf(file->fd_.get(), path));
    file->size_ = static_cast<uint64_t>(info.st_size);
    posix_fadvise(file->fd_.get(), 0, 0, POSIX_FADV_RANDOM);
    if (MayAskAboutPageCache(file->fd_.get(), info)) {
      file->mapping_ = FileMapping(file->fd_.get(), file->size_);
    }
    return file;
  }

  absl::StatusOr<Range> Read(uint64_t offset, size_t bytes) const {
    if (offset > size_ || bytes > size_ - offset) {
      return DataLoss(path_ + ": ends at " + std::to_string(size_) + ", before byte " +
                      std::to_string(offset) + " + " + std::to_string(bytes));
    }
    if (bytes == 0) return Range{};
    if (bytes <= kMappedRangeMax && !mapping_.bytes().empty()) {
      const std::string_view range = mapping_.bytes().substr(offset, bytes);
      if (IsInPageCache(range)) return Range{nullptr, nullptr, range};
    }
    auto copy = std::make_unique_for_overwrite<char[]>(bytes);
    for (size_t done = 0; done < bytes;) {
      const ssize_t got =
          pread(fd_.get(), copy.get() + done, bytes - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ErrnoStatus(errno, "cannot read " + path_);
      if (got == 0) return DataLoss(path_ + ": has become shorter");
      done += static_cast<size_t>(got);
    }
    const std::string_view range(copy.get(), bytes);
    return Range{nullptr, std::move(copy), range};
  }

 private:
  std::string path_;
  FileDescriptor fd_;
  uint64_t size_ = 0;
  FileMapping mapping_;
};

RangeReader::RangeReader(std::vector<std::string> paths, size_t open_files_max)
    : paths_(std::move(paths)),
      open_files_max_(std::max<size_t>(open_files_max, 1)),
      files_(paths_.size()) {}

RangeReader::~RangeReader() = default;

absl::StatusOr<RangeReader::Range> RangeReader::Read(uint32_t file, uint64_t offset, size_t bytes) {
  ASSIGN_OR_RETURN(auto open, Open(file));
  ASSIGN_OR_RETURN(Range range, open->Read(offset, bytes));
  if (range.copy == nullptr) range.file = std::move(open);
  return range;
}

absl::StatusOr<std::shared_ptr<const RangeReader::File>> RangeReader::Open(uint32_t file) {
  {
    const MutexLock lock(&mutex_);
    if (file < files_.size() && files_[file] != nullptr) return files_[file];
  }
  if (file >= paths_.size()) return DataLoss("the index names file " + std::to_string(file));
  // Without the lock, since a server may take its time: two threads may open the same file.
  ASSIGN_OR_RETURN(auto opened, File::Open(paths_[file]));
  const MutexLock lock(&mutex_);
  if (files_[file] == nullptr) {
    if (open_.size() >= open_files_max_) {
      files_[open_.front()] = nullptr;
      open_.pop_front();
    }
    open_.push_back(file);
  }
  files_[file] = opened;
  return opened;
}

}  // namespace halcyon::storage
