// Programs that are asked for an answer, and programs that outlive the process that starts them.
#ifndef HALCYON_CLUSTER_COMMAND_H_
#define HALCYON_CLUSTER_COMMAND_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "cluster/process.h"

namespace halcyon::cluster {

struct CommandOutput {
  ExitStatus exit;
  std::string out;
  std::string error;
};

// Runs the program to its end, without input, and returns what it printed. argv[0] is looked up in
// PATH when it has no slash; `env` is added to, or replaces, this process's. kNotFound: no such
// program; kUnavailable: it did not end in time, or printed more than 256 MiB, and was killed.
absl::StatusOr<CommandOutput> RunCommand(const std::vector<std::string>& argv, int64_t timeout_ms,
                                         const std::map<std::string, std::string>& env = {});

struct DetachedOptions {
  std::vector<std::string> argv;
  std::map<std::string, std::string> env;  // added to, or replacing, this process's
  std::string output_path;                 // stdout and stderr are appended here
  std::string working_dir;
};

// Starts a program in a session of its own, with no input, no open files but its output, and the
// signals at their defaults: it goes on when this process and its terminal are gone. The caller is
// its parent, and reaps it or ends.
absl::StatusOr<pid_t> StartDetached(const DetachedOptions& options);

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_COMMAND_H_
