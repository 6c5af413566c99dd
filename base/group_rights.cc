#include "base/group_rights.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "base/env.h"

namespace halcyon {
namespace {

constexpr mode_t kPrivateFolderMode = 0700;
constexpr mode_t kOwnerRights = 0700;

// Of a folder of a group.
std::optional<mode_t> GroupRightsIn(const std::string& folder) {
  struct stat info;
  if (stat(folder.c_str(), &info) != 0 || (info.st_mode & S_ISGID) == 0) return std::nullopt;
  return info.st_mode & S_IRWXG;
}

}  // namespace

absl::StatusOr<FileDescriptor> CreateFile(const std::string& path, int flags, mode_t mode) {
  ASSIGN_OR_RETURN(FileDescriptor file, FileDescriptor::Open(path, flags | O_CREAT, mode));
  const std::optional<mode_t> rights = GroupRightsIn(DirName(path));
  if (!rights) return file;
  struct stat info;
  if (fstat(file.get(), &info) != 0) return ErrnoStatus(errno, "cannot look at " + path);
  const mode_t wanted = (mode & kOwnerRights) | (*rights & (S_IRGRP | S_IWGRP));
  // One of another user exists already, and has the mode that it was given.
  const bool is_file = S_ISREG(info.st_mode) && info.st_uid == geteuid();
  if (is_file && (info.st_mode & ALLPERMS) != wanted && fchmod(file.get(), wanted) != 0) {
    return ErrnoStatus(errno, "cannot give the group its rights to " + path);
  }
  return file;
}

absl::Status CreateFolder(const std::string& path) {
  if (mkdir(path.c_str(), kPrivateFolderMode) != 0) {
    return errno == EEXIST ? absl::OkStatus() : ErrnoStatus(errno, "cannot create folder " + path);
  }
  const std::optional<mode_t> rights = GroupRightsIn(DirName(path));
  if (rights && chmod(path.c_str(), kPrivateFolderMode | S_ISGID | *rights) != 0) {
    return ErrnoStatus(errno, "cannot give the group its rights to " + path);
  }
  return absl::OkStatus();
}

}  // namespace halcyon
