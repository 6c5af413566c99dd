#include "base/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>

namespace halcyon {
namespace {

constexpr int kLinksMax = 40;  // as Linux itself
constexpr mode_t kNewFileMode = 0666;
constexpr mode_t kPermissions = 07777;

// The number of a descriptor of this process when `path` is its entry in /proc; otherwise -1.
int DescriptorOf(const std::string& path) {
  const std::string folder = "/proc/" + std::to_string(getpid()) + "/fd";
  int fd = -1;
  const std::string name = BaseName(path);
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), fd);
  const bool is_number = error == std::errc() && end == name.data() + name.size();
  return DirName(path) == folder && is_number ? fd : -1;
}

// A new file beside `target`, so that it lies on the same file system. Its name is unique, so that
// programs that write the same file at once do not write into each other's.
absl::StatusOr<FileDescriptor> NewTemporary(const std::string& target, std::string* path) {
  for (int attempt = 0;; ++attempt) {
    *path = JoinPath(DirName(target), ".halcyon-" + std::to_string(getpid()) + "-" +
                                          std::to_string(attempt) + ".tmp");
    FileDescriptor file(open(path->c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kNewFileMode));
    if (file.valid()) return file;
    if (errno != EEXIST) return ErrnoStatus(errno, "cannot create " + target);
  }
}

}  // namespace

absl::StatusOr<std::string> FollowLinks(const std::string& path) {
  std::string followed = path;
  for (int links = 0; links <= kLinksMax; ++links) {
    std::error_code error;
    const auto folder = std::filesystem::canonical(DirName(followed), error);
    if (error) return ErrnoStatus(error.value(), "cannot create " + path);
    followed = JoinPath(folder.string(), BaseName(followed));
    if (DescriptorOf(followed) >= 0) return followed;  // its link text need not be a path
    const auto link = std::filesystem::read_symlink(followed, error);
    if (error) return followed;  // not a link
    followed = JoinPath(folder.string(), link.string());
  }
  return ErrnoStatus(ELOOP, "cannot open " + path);
}

absl::StatusOr<std::unique_ptr<OutputFile>> OutputFile::Open(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string target, FollowLinks(path));
  FileDescriptor file;
  std::string temporary;
  struct stat info = {};
  const bool exists = stat(target.c_str(), &info) == 0;
  if (const int fd = DescriptorOf(target); fd >= 0) {
    file = FileDescriptor(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!file.valid()) return ErrnoStatus(errno, "cannot open " + path);
  } else if (exists && S_ISDIR(info.st_mode)) {
    return InvalidArgument(path + ": is a folder, expected a file");
  } else if (exists && !S_ISREG(info.st_mode)) {
    ASSIGN_OR_RETURN(file, FileDescriptor::Open(target, O_WRONLY));
  } else {
    ASSIGN_OR_RETURN(file, NewTemporary(target, &temporary));
    if (exists && fchmod(file.get(), info.st_mode & kPermissions) != 0) {
      const absl::Status failed = ErrnoStatus(errno, "cannot create " + path);
      unlink(temporary.c_str());
      return failed;
    }
  }
  return std::unique_ptr<OutputFile>(new OutputFile(path, target, temporary, std::move(file)));
}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

absl::Status OutputFile::Append(std::string_view bytes) {
  const int error = WriteAll(file_.get(), bytes);
  return error == 0 ? absl::OkStatus() : ErrnoStatus(error, "cannot write " + path_);
}

absl::Status OutputFile::Sync() {
  if (temporary_.empty() || fsync(file_.get()) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, "cannot sync " + path_);
}

absl::Status OutputFile::Close() {
  RETURN_IF_ERROR(Sync());
  RETURN_IF_ERROR(file_.Close("cannot write " + path_));
  if (temporary_.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(Env::Posix()->Rename(temporary_, target_));
  temporary_.clear();
  return Env::Posix()->SyncDir(DirName(target_));
}

absl::Status WriteOutputFile(const std::string& path, std::string_view bytes) {
  ASSIGN_OR_RETURN(const auto file, OutputFile::Open(path));
  RETURN_IF_ERROR(file->Append(bytes));
  return file->Close();
}

}  // namespace halcyon
