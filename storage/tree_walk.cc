#include "storage/tree_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/env.h"
#include "base/file_descriptor.h"

namespace halcyon::storage {
namespace {

class TreeWalk {
 public:
  explicit TreeWalk(const std::function<absl::Status(const TreeEntry&)>& visit) : visit_(visit) {}

  absl::Status Folder(FileDescriptor folder) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(folder));
    for (const std::string& name : names) {
      path_.push_back(name);
      RETURN_IF_ERROR(Entry(folder.get(), name));
      path_.pop_back();
    }
    return Visit(folder.get());
  }

 private:
  absl::StatusOr<std::vector<std::string>> NamesIn(const FileDescriptor& folder) {
    const int copy = fcntl(folder.get(), F_DUPFD_CLOEXEC, 0);
    DIR* list = copy < 0 ? nullptr : fdopendir(copy);
    if (list == nullptr) return ErrnoStatus(errno, "cannot list " + PathOf({-1, path_, {}}));
    std::vector<std::string> names;
    while (const dirent* one = readdir(list)) {
      const std::string name = one->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    closedir(list);
    return names;
  }

  absl::Status Entry(int parent, const std::string& name) {
    // Without waiting for a pipe's other end.
    FileDescriptor file(
        openat(parent, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    const int error = file.valid() ? 0 : errno;
    if (error == ENOENT || error == ELOOP || error == ENXIO) return absl::OkStatus();
    TreeEntry entry{file.get(), path_, {}};
    if (error == EACCES) {
      const bool is_there = fstatat(parent, name.c_str(), &entry.info, AT_SYMLINK_NOFOLLOW) == 0;
      return is_there ? visit_(entry) : absl::OkStatus();
    }
    if (error != 0) return ErrnoStatus(error, "cannot open " + PathOf(entry));
    if (fstat(file.get(), &entry.info) != 0) {
      return ErrnoStatus(errno, "cannot look at " + PathOf(entry));
    }
    if (S_ISDIR(entry.info.st_mode)) return Folder(std::move(file));
    return S_ISREG(entry.info.st_mode) ? visit_(entry) : absl::OkStatus();
  }

  absl::Status Visit(int descriptor) {
    TreeEntry entry{descriptor, path_, {}};
    if (fstat(descriptor, &entry.info) != 0) {
      return ErrnoStatus(errno, "cannot look at " + PathOf(entry));
    }
    return visit_(entry);
  }

  const std::function<absl::Status(const TreeEntry&)>& visit_;
  std::vector<std::string> path_;
};

}  // namespace

std::string PathOf(const TreeEntry& entry) {
  std::string path;
  for (const std::string& name : entry.path) path = path.empty() ? name : JoinPath(path, name);
  return path.empty() ? "the state folder" : path;
}

absl::Status WalkTree(const std::string& root,
                      const std::function<absl::Status(const TreeEntry&)>& visit) {
  ASSIGN_OR_RETURN(FileDescriptor folder, FileDescriptor::Open(root, O_RDONLY | O_DIRECTORY));
  return TreeWalk(visit).Folder(std::move(folder));
}

}  // namespace halcyon::storage
