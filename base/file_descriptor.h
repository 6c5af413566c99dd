// An open file of the operating system, and the standard descriptors, which every program must
// have.
#ifndef HALCYON_BASE_FILE_DESCRIPTOR_H_
#define HALCYON_BASE_FILE_DESCRIPTOR_H_

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"

namespace halcyon {

// Owns a descriptor and closes it; movable. A default one owns nothing.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor();

  // open(2) with O_CLOEXEC; a file that is made gets `mode`. The message of an error names the
  // path.
  static absl::StatusOr<FileDescriptor> Open(const std::string& path, int flags,
                                             mode_t mode = 0600);

  bool valid() const { return fd_ >= 0; }
  int get() const { return fd_; }
  // Some file systems report a failed write only here. `what` begins the message.
  absl::Status Close(std::string_view what);

 private:
  int fd_ = -1;
};

// Writes all of `bytes`, however many calls that takes. Returns 0 or the errno of the failure.
int WriteAll(int fd, std::string_view bytes);

// Opens on /dev/null those of the descriptors 0, 1 and 2 that this process was started without.
// Otherwise the next file to be opened would get the number, and printed text would go into it.
// Writing to such a standard output fails, because a result that is lost is an error. Called first
// in main.
absl::Status OpenMissingStandardDescriptors();

}  // namespace halcyon

#endif  // HALCYON_BASE_FILE_DESCRIPTOR_H_
