// Child processes: posix_spawn, never a bare fork.
#ifndef HALCYON_CLUSTER_PROCESS_H_
#define HALCYON_CLUSTER_PROCESS_H_

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/process_identity.h"
#include "base/status.h"

namespace halcyon::cluster {

struct ProcessOptions {
  std::vector<std::string> argv;           // argv[0] is looked up in PATH when it has no slash
  std::map<std::string, std::string> env;  // added to, or replacing, this process's
  std::string output_path;                 // stdout and stderr are appended here; "" inherits
  // Where the child starts. This process's own folder may have been removed, so every child that
  // outlives a command gets one that exists. "": this process's.
  std::string working_dir = {};
  // Variables of this process whose names start with one of these are not passed on.
  std::vector<std::string> env_prefixes_dropped = {};
  // The child starts with the stop signals blocked: when a job manager or a terminal signals every
  // process at once, the child goes on until its coordinator ends it.
  bool block_stop_signals = false;
};

// What a person, a terminal or a job manager sends to stop a job: SIGINT, SIGTERM, SIGHUP, SIGUSR1
// and SIGUSR2.
const std::vector<int>& StopSignalNumbers();
// From here on this process is not ended by a stop signal: it ends when its coordinator sends Stop,
// sends nothing for too long, or dies. Call first in main().
void IgnoreStopSignals();

struct ExitStatus {
  int code = 0;    // when it exited
  int signal = 0;  // when a signal ended it
  bool ok() const { return code == 0 && signal == 0; }
  std::string ToString() const;  // "exit code 3", "killed by signal 9 (Killed)"
};

// A child in a process group of its own, with no input and no open files but its output. What is
// left of the group is killed when the child is seen to have ended; the destructor kills the group
// and reaps. Not thread-safe.
class ChildProcess {
 public:
  // kNotFound: no such program, or no folder for the output file.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Spawn(const ProcessOptions& options);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  // nullopt while it runs.
  std::optional<ExitStatus> Poll();
  // To the process, or to its whole group.
  void Signal(int signal);
  void SignalGroup(int signal);
  // The destructor neither kills nor reaps it.
  void Leave() { left_ = true; }

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}
  pid_t pid_;
  std::optional<ExitStatus> status_;
  bool left_ = false;
};

using halcyon::BootId;
using halcyon::DescendsFrom;
using halcyon::IdentityOfProcess;
using halcyon::IsAlive;
using halcyon::IsStopped;
using halcyon::KillProcess;
using halcyon::ProcessIdentity;

// Asks the kernel to kill this process when its parent dies (the kernel means the parent's thread
// that started it). An additional safeguard: nothing relies on it.
void DieWithParent();

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_PROCESS_H_
