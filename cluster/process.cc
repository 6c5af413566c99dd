#include "cluster/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/file_descriptor.h"
#include "base/group_rights.h"
#include "cluster/spawn.h"

namespace halcyon::cluster {
namespace {

ExitStatus FromWaitStatus(int status) {
  if (WIFSIGNALED(status)) return ExitStatus{.signal = WTERMSIG(status)};
  return ExitStatus{.code = WEXITSTATUS(status)};
}

}  // namespace

std::string ExitStatus::ToString() const {
  if (signal == 0) return "exit code " + std::to_string(code);
  const char* name = sigdescr_np(signal);
  return "killed by signal " + std::to_string(signal) + " (" +
         (name != nullptr ? name : "unknown") + ")";
}

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Spawn(const ProcessOptions& options) {
  HALCYON_CHECK(!options.argv.empty());
  ASSIGN_OR_RETURN(const FileDescriptor input, FileDescriptor::Open("/dev/null", O_RDONLY));
  FileDescriptor output;
  if (!options.output_path.empty()) {
    ASSIGN_OR_RETURN(output, CreateFile(options.output_path, O_WRONLY | O_APPEND),
                     "the output of " + options.argv[0]);
  }
  ASSIGN_OR_RETURN(const pid_t pid,
                   cluster::Spawn({.argv = options.argv,
                                   .env = options.env,
                                   .env_prefixes_dropped = options.env_prefixes_dropped,
                                   .working_dir = options.working_dir,
                                   .input = input.get(),
                                   .output = output.get(),
                                   .error = output.get(),
                                   .block_stop_signals = options.block_stop_signals}));
  return std::unique_ptr<ChildProcess>(new ChildProcess(pid));
}

ChildProcess::~ChildProcess() {
  if (status_.has_value() || left_) return;
  SignalGroup(SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
}

std::optional<ExitStatus> ChildProcess::Poll() {
  if (status_.has_value()) return status_;
  siginfo_t info{};
  const int seen = waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
  if (seen != 0 || info.si_pid != pid_) return std::nullopt;
  // Before the child is reaped: afterwards the number could name another group.
  SignalGroup(SIGKILL);
  int status = 0;
  HALCYON_CHECK(waitpid(pid_, &status, 0) == pid_);
  status_ = FromWaitStatus(status);
  return status_;
}

void ChildProcess::Signal(int signal) {
  if (!status_.has_value()) kill(pid_, signal);
}

void ChildProcess::SignalGroup(int signal) {
  if (!status_.has_value()) kill(-pid_, signal);
}

const std::vector<int>& StopSignalNumbers() {
  static const std::vector<int> signals = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
  return signals;
}

void IgnoreStopSignals() {
  for (const int number : StopSignalNumbers()) signal(number, SIG_IGN);
}

void DieWithParent() { prctl(PR_SET_PDEATHSIG, SIGKILL); }

}  // namespace halcyon::cluster
