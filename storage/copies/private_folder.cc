#include "storage/copies/private_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/env.h"
#include "storage/sharing.h"

namespace halcyon::storage {
namespace {

constexpr mode_t kPrivateMode = 0700;

// Whoever owns a folder may rename what is in it; whoever may write to it, too, unless it is
// sticky.
absl::Status CheckFolderAbove(const std::string& dir) {
  struct stat info;
  if (stat(dir.c_str(), &info) != 0) return ErrnoStatus(errno, "cannot look at " + dir);
  if (!S_ISDIR(info.st_mode)) return FailedPrecondition(dir + ": is not a folder");
  if (info.st_uid != 0 && info.st_uid != geteuid()) {
    return FailedPrecondition(dir + ": belongs to user " + UserName(info.st_uid) +
                              "; it must belong to root or to the user who runs the job");
  }
  const bool others_write = (info.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  if (!others_write || (info.st_mode & S_ISVTX) != 0) return absl::OkStatus();
  return FailedPrecondition(dir + ": others may write to it and it is not sticky; run chmod +t " +
                            dir);
}

}  // namespace

absl::StatusOr<std::string> OpenPrivateFolder(const std::string& dir) {
  RETURN_IF_ERROR(CheckFolderAbove(dir));
  std::string path = JoinPath(dir, "halcyon-" + std::to_string(geteuid()));
  if (mkdir(path.c_str(), kPrivateMode) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, "cannot create folder " + path);
  }
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) return ErrnoStatus(errno, "cannot look at " + path);
  if (!S_ISDIR(info.st_mode)) {
    return FailedPrecondition(path +
                              ": is a file or a symbolic link, expected a folder; remove it");
  }
  if (info.st_uid != geteuid()) {
    return FailedPrecondition(path + ": belongs to user " + UserName(info.st_uid) +
                              "; have them remove it");
  }
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) == 0) return path;
  return FailedPrecondition(path + ": others have rights to it; run chmod 0700 " + path);
}

}  // namespace halcyon::storage
