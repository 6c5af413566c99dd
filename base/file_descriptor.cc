#include "base/file_descriptor.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace halcyon {

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<FileDescriptor> FileDescriptor::Open(const std::string& path, int flags,
                                                    mode_t mode) {
  while (true) {
    FileDescriptor file(open(path.c_str(), flags | O_CLOEXEC, mode));
    if (file.valid()) return file;
    if (errno == EINTR) continue;  // opening a FIFO waits for its other end
    return ErrnoStatus(errno, ((flags & O_CREAT) != 0 ? "cannot create " : "cannot open ") + path);
  }
}

absl::Status FileDescriptor::Close(std::string_view what) {
  if (close(std::exchange(fd_, -1)) != 0) return ErrnoStatus(errno, what);
  return absl::OkStatus();
}

int WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN) {
      // A pipe or terminal that another program has made non-blocking.
      pollfd writable{fd, POLLOUT, 0};
      poll(&writable, 1, -1);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

absl::Status OpenMissingStandardDescriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    // Inherited by the programs that this one starts or executes, so not O_CLOEXEC.
    const int opened = open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY);
    if (opened < 0) return ErrnoStatus(errno, "cannot open /dev/null");
    if (opened != fd) {
      close(opened);
      return Internal("descriptor " + std::to_string(fd) + " could not be opened");
    }
  }
  return absl::OkStatus();
}

}  // namespace halcyon
