#include "base/standard_output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "base/file_descriptor.h"

namespace halcyon {
namespace {

constexpr std::string_view kWhat = "cannot write standard output";

absl::Status StatusOf(int error) {
  if (error == 0) return absl::OkStatus();
  if (error == EPIPE) return Unavailable("the reader of standard output has closed it");
  if (error != EBADF) return ErrnoStatus(error, kWhat);
  return InvalidArgument(std::string(kWhat) +
                         ": it is closed; direct it to /dev/null if it is not wanted");
}

}  // namespace

StandardOutput& StandardOutput::OfProcess() {
  static auto* output = new StandardOutput(STDOUT_FILENO);
  return *output;
}

bool StandardOutput::IsOpen() const {
  const int flags = fcntl(fd_, F_GETFL);
  return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

void StandardOutput::Print(std::string_view text) {
  if (!status_.ok()) return;
  const bool terminal = isatty(fd_) != 0;
  status_ = StatusOf(terminal ? WriteAll(fd_, escaper_.Escape(text)) : WriteAll(fd_, text));
}

absl::Status StandardOutput::Finish() {
  // A network file system may report a failed write only when a descriptor is closed.
  if (FileDescriptor copy(fcntl(fd_, F_DUPFD_CLOEXEC, 0)); status_.ok() && copy.valid()) {
    status_ = copy.Close(kWhat);
  }
  const absl::Status status = std::exchange(status_, absl::OkStatus());
  return absl::IsUnavailable(status) ? absl::OkStatus() : status;
}

}  // namespace halcyon
