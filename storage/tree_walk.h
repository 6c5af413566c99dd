// Every file and folder below one, by descriptors: a link that another process puts in the place of
// a folder meanwhile leads nowhere else.
#ifndef HALCYON_STORAGE_TREE_WALK_H_
#define HALCYON_STORAGE_TREE_WALK_H_

#include <sys/stat.h>

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"

namespace halcyon::storage {

struct TreeEntry {
  int descriptor = -1;            // open for reading; -1: this user may not
  std::vector<std::string> path;  // names below the root; none: the root itself
  struct stat info = {};
};

// "jobs/novels-6f110572/logs"; "the state folder" for the root.
std::string PathOf(const TreeEntry& entry);

// Visits folders, after what is in them, and regular files; not links, sockets and the like. What
// disappears meanwhile is passed over.
absl::Status WalkTree(const std::string& root,
                      const std::function<absl::Status(const TreeEntry&)>& visit);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_TREE_WALK_H_
