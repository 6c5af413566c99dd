#include "cluster/private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/env.h"
#include "base/file_descriptor.h"

namespace halcyon::cluster {
namespace {

constexpr mode_t kPrivateMode = 0600;
constexpr mode_t kOthersMask = 0077;

absl::Status CheckPrivate(const struct stat& status, const std::string& path) {
  if (!S_ISREG(status.st_mode)) return FailedPrecondition(path + " is not a regular file");
  if (status.st_uid != geteuid()) {
    return FailedPrecondition(path + " belongs to user " + std::to_string(status.st_uid) +
                              ", this process runs as " + std::to_string(geteuid()) +
                              "; it holds keys and is not used");
  }
  if ((status.st_mode & kOthersMask) != 0) {
    return FailedPrecondition(path +
                              " can be read or changed by others; run chmod 600 on it, and "
                              "remove it when others may have seen its keys");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status WritePrivateFile(const std::string& path, std::string_view bytes) {
  const std::string temporary = path + ".tmp";
  if (unlink(temporary.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, "cannot remove " + temporary);
  }
  ASSIGN_OR_RETURN(
      FileDescriptor file,
      FileDescriptor::Open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, kPrivateMode));
  if (const int error = WriteAll(file.get(), bytes); error != 0) {
    return ErrnoStatus(error, "cannot write " + temporary);
  }
  if (fsync(file.get()) != 0) return ErrnoStatus(errno, "cannot sync " + temporary);
  RETURN_IF_ERROR(file.Close("cannot close " + temporary));
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    return ErrnoStatus(errno, "cannot rename " + temporary);
  }
  ASSIGN_OR_RETURN(const FileDescriptor folder,
                   FileDescriptor::Open(DirName(path), O_RDONLY | O_DIRECTORY));
  if (fsync(folder.get()) != 0) return ErrnoStatus(errno, "cannot sync " + DirName(path));
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadPrivateFile(const std::string& path, size_t bytes_max) {
  // O_NONBLOCK: a pipe in its place would wait for a writer.
  ASSIGN_OR_RETURN(const FileDescriptor file,
                   FileDescriptor::Open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  struct stat status;
  if (fstat(file.get(), &status) != 0) return ErrnoStatus(errno, "cannot look at " + path);
  RETURN_IF_ERROR(CheckPrivate(status, path));
  std::string bytes(bytes_max + 1, '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = read(file.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "cannot read " + path);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  if (done > bytes_max) {
    return InvalidArgument(path + " has more than " + std::to_string(bytes_max) + " bytes");
  }
  bytes.resize(done);
  return bytes;
}

}  // namespace halcyon::cluster
