// How this process starts others: one set of rules for posix_spawn, whatever becomes of the child.
// Private to cluster/process.cc and cluster/command.cc.
#ifndef HALCYON_CLUSTER_SPAWN_H_
#define HALCYON_CLUSTER_SPAWN_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "base/status.h"

namespace halcyon::cluster {

struct SpawnRequest {
  std::vector<std::string> argv;           // argv[0] is looked up in PATH when it has no slash
  std::map<std::string, std::string> env;  // added to, or replacing, this process's
  // Variables of this process whose names start with one of these are not passed on.
  std::vector<std::string> env_prefixes_dropped = {};
  std::string working_dir = {};  // "": this process's
  int input = -1;                // files that become the child's; -1: this process's
  int output = -1;
  int error = -1;
  bool own_session = false;         // else a process group of its own in this session
  bool block_stop_signals = false;  // the child starts with them blocked
};

// The child has no other open files, and no ignored or blocked signals but those asked for.
// kNotFound: no such program.
absl::StatusOr<pid_t> Spawn(const SpawnRequest& request);

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_SPAWN_H_
