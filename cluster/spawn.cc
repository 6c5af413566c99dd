#include "cluster/spawn.h"

#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <algorithm>

#include "cluster/process.h"

extern char** environ;

namespace halcyon::cluster {
namespace {

class SpawnSettings {
 public:
  explicit SpawnSettings(const SpawnRequest& request) {
    const short group = request.own_session ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP;
    posix_spawnattr_init(&attributes_);
    posix_spawnattr_setflags(
        &attributes_, static_cast<short>(group | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
    posix_spawnattr_setpgroup(&attributes_, 0);
    sigset_t stop_signals, none;
    sigemptyset(&stop_signals);
    sigemptyset(&none);
    for (const int signal : StopSignalNumbers()) sigaddset(&stop_signals, signal);
    posix_spawnattr_setsigmask(&attributes_, request.block_stop_signals ? &stop_signals : &none);
    sigset_t defaulted = stop_signals;
    sigaddset(&defaulted, SIGPIPE);
    sigaddset(&defaulted, SIGCHLD);
    posix_spawnattr_setsigdefault(&attributes_, &defaulted);

    posix_spawn_file_actions_init(&actions_);
    Give(request.input, STDIN_FILENO);
    Give(request.output, STDOUT_FILENO);
    Give(request.error, STDERR_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
    if (!request.working_dir.empty()) {
      posix_spawn_file_actions_addchdir_np(&actions_, request.working_dir.c_str());
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
  void Give(int fd, int as) {
    if (fd >= 0) posix_spawn_file_actions_adddup2(&actions_, fd, as);
  }

  posix_spawnattr_t attributes_;
  posix_spawn_file_actions_t actions_;
};

// This process's environment with the changes made, as "NAME=value".
std::vector<std::string> MergedEnvironment(const SpawnRequest& request) {
  std::map<std::string, std::string> changes = request.env;
  const auto dropped = [&](const std::string& name) {
    const auto& prefixes = request.env_prefixes_dropped;
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

}  // namespace

absl::StatusOr<pid_t> Spawn(const SpawnRequest& request) {
  const SpawnSettings settings(request);
  std::vector<std::string> argv = request.argv, environment = MergedEnvironment(request);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, argv[0].c_str(), settings.actions(), settings.attributes(),
                                 Pointers(argv).data(), Pointers(environment).data());
  if (error != 0) return ErrnoStatus(error, "cannot start " + argv[0]);
  return pid;
}

}  // namespace halcyon::cluster
