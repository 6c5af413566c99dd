#include "cluster/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/file_descriptor.h"

extern char** environ;

namespace halcyon::cluster {
namespace {

// What posix_spawn is told beside the program: a group of its own, no ignored signals, no blocked
// ones but the stop signals on request, and no open file but these three.
class SpawnSettings {
 public:
  SpawnSettings(int input_fd, int output_fd, const ProcessOptions& options) {
    posix_spawnattr_init(&attributes_);
    posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes_, 0);
    sigset_t stop_signals, none;
    sigemptyset(&stop_signals);
    sigemptyset(&none);
    for (const int signal : StopSignalNumbers()) sigaddset(&stop_signals, signal);
    posix_spawnattr_setsigmask(&attributes_, options.block_stop_signals ? &stop_signals : &none);
    sigset_t defaulted = stop_signals;
    sigaddset(&defaulted, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes_, &defaulted);

    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_adddup2(&actions_, input_fd, STDIN_FILENO);
    if (output_fd >= 0) {
      posix_spawn_file_actions_adddup2(&actions_, output_fd, STDOUT_FILENO);
      posix_spawn_file_actions_adddup2(&actions_, output_fd, STDERR_FILENO);
    }
    posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
    if (!options.working_dir.empty()) {
      posix_spawn_file_actions_addchdir_np(&actions_, options.working_dir.c_str());
    }
  }
  ~SpawnSettings() {
    posix_spawnattr_destroy(&attributes_);
    posix_spawn_file_actions_destroy(&actions_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  const posix_spawnattr_t* attributes() const { return &attributes_; }
  const posix_spawn_file_actions_t* actions() const { return &actions_; }

 private:
  posix_spawnattr_t attributes_;
  posix_spawn_file_actions_t actions_;
};

// This process's environment with the changes made, as "NAME=value".
std::vector<std::string> MergedEnvironment(const ProcessOptions& options) {
  std::map<std::string, std::string> changes = options.env;
  const auto dropped = [&](const std::string& name) {
    const auto& prefixes = options.env_prefixes_dropped;
    return std::any_of(prefixes.begin(), prefixes.end(),
                       [&](const std::string& prefix) { return name.starts_with(prefix); });
  };
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    if (equals == std::string::npos || dropped(text.substr(0, equals))) continue;
    changes.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  std::vector<std::string> merged;
  for (const auto& [name, value] : changes) merged.push_back(name + "=" + value);
  return merged;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

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
    ASSIGN_OR_RETURN(output,
                     FileDescriptor::Open(options.output_path, O_WRONLY | O_CREAT | O_APPEND),
                     "the output of " + options.argv[0]);
  }
  const SpawnSettings settings(input.get(), output.get(), options);
  std::vector<std::string> argv = options.argv;
  std::vector<std::string> environment = MergedEnvironment(options);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, argv[0].c_str(), settings.actions(), settings.attributes(),
                                 Pointers(argv).data(), Pointers(environment).data());
  if (error != 0) return ErrnoStatus(error, "cannot start " + argv[0]);
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
