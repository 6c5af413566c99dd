#include "worker/reference/whole_folder.h"

#include <filesystem>

#include "base/output_file.h"

namespace halcyon::worker {
namespace {

absl::Status Fill(Env& env, const std::string& dir, const std::string& to,
                  const std::function<absl::Status(const std::string& dir)>& fill) {
  RETURN_IF_ERROR(env.CreateDirs(dir));
  RETURN_IF_ERROR(fill(dir));
  RETURN_IF_ERROR(env.SyncDir(dir));
  RETURN_IF_ERROR(env.Rename(dir, to));
  return env.SyncDir(DirName(to));
}

}  // namespace

absl::Status WriteWholeFolder(Env& env, std::string to,
                              const std::function<absl::Status(const std::string& dir)>& fill) {
  while (to.size() > 1 && to.ends_with('/')) to.pop_back();
  if (std::filesystem::is_symlink(to)) {
    // A folder cannot be renamed over a link: the folder that it leads to is the one that is meant.
    ASSIGN_OR_RETURN(to, FollowLinks(to));
  }
  if (env.Exists(to)) {
    const auto names = env.ListDir(to);
    if (!names.ok() || !names->empty()) {
      return InvalidArgument(to + ": is there and not an empty folder; name another, or remove it");
    }
  }
  const std::string dir = to + ".partial";
  RETURN_IF_ERROR(env.RemoveTree(dir));
  const absl::Status status = Fill(env, dir, to, fill);
  // The first error is the one to report.
  if (!status.ok()) env.RemoveTree(dir).IgnoreError();
  return status;
}

}  // namespace halcyon::worker
