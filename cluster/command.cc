#include "cluster/command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "base/clock.h"
#include "base/file_descriptor.h"
#include "base/group_rights.h"
#include "cluster/spawn.h"

namespace halcyon::cluster {
namespace {

constexpr size_t kOutputBytesMax = size_t{256} << 20;

struct Pipe {
  FileDescriptor read, write;
};

absl::StatusOr<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "cannot make a pipe");
  return Pipe{FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

// Reads both pipes until they are at their ends. False: `deadline_ms` passed, or it is too much.
bool ReadToEnd(const Pipe& out, const Pipe& error, int64_t deadline_ms, CommandOutput* output) {
  std::array<pollfd, 2> polled = {pollfd{out.read.get(), POLLIN, 0},
                                  pollfd{error.read.get(), POLLIN, 0}};
  std::array<std::string*, 2> texts = {&output->out, &output->error};
  std::array<char, 65536> buffer;
  while (polled[0].fd >= 0 || polled[1].fd >= 0) {
    const int64_t left_ms = deadline_ms - Clock::Real()->MonotonicMs();
    if (left_ms <= 0) return false;
    if (poll(polled.data(), polled.size(), static_cast<int>(std::min<int64_t>(left_ms, 1000))) <
        0) {
      if (errno == EINTR) continue;
      return false;
    }
    for (size_t i = 0; i < polled.size(); ++i) {
      if (polled[i].fd < 0 || polled[i].revents == 0) continue;
      const ssize_t size = read(polled[i].fd, buffer.data(), buffer.size());
      if (size > 0) texts[i]->append(buffer.data(), static_cast<size_t>(size));
      if (size == 0 || (size < 0 && errno != EINTR)) polled[i].fd = -1;
      if (texts[i]->size() > kOutputBytesMax) return false;
    }
  }
  return true;
}

// nullopt: it runs on.
std::optional<int> Reap(pid_t pid, int64_t deadline_ms) {
  constexpr int64_t kPollMs = 2;
  int status = 0;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    if (Clock::Real()->MonotonicMs() >= deadline_ms) return std::nullopt;
    Clock::Real()->SleepMs(kPollMs);
  }
  return status;
}

}  // namespace

absl::StatusOr<CommandOutput> RunCommand(const std::vector<std::string>& argv, int64_t timeout_ms,
                                         const std::map<std::string, std::string>& env) {
  ASSIGN_OR_RETURN(Pipe out, MakePipe());
  ASSIGN_OR_RETURN(Pipe error, MakePipe());
  ASSIGN_OR_RETURN(const FileDescriptor null, FileDescriptor::Open("/dev/null", O_RDONLY));
  ASSIGN_OR_RETURN(const pid_t pid, Spawn({.argv = argv,
                                           .env = env,
                                           .input = null.get(),
                                           .output = out.write.get(),
                                           .error = error.write.get()}));
  out.write = FileDescriptor();
  error.write = FileDescriptor();
  const int64_t deadline_ms = Clock::Real()->MonotonicMs() + timeout_ms;
  CommandOutput output;
  const bool whole = ReadToEnd(out, error, deadline_ms, &output);
  const std::optional<int> status = whole ? Reap(pid, deadline_ms) : std::nullopt;
  if (!status) {
    kill(-pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return Unavailable(argv[0] + " did not answer within " + std::to_string(timeout_ms / 1000) +
                       " s");
  }
  if (WIFSIGNALED(*status)) {
    output.exit.signal = WTERMSIG(*status);
  } else {
    output.exit.code = WEXITSTATUS(*status);
  }
  return output;
}

absl::StatusOr<pid_t> StartDetached(const DetachedOptions& options) {
  ASSIGN_OR_RETURN(const FileDescriptor null, FileDescriptor::Open("/dev/null", O_RDONLY));
  ASSIGN_OR_RETURN(const FileDescriptor output,
                   CreateFile(options.output_path, O_WRONLY | O_APPEND));
  return Spawn({.argv = options.argv,
                .env = options.env,
                .working_dir = options.working_dir,
                .input = null.get(),
                .output = output.get(),
                .error = output.get(),
                .own_session = true});
}

}  // namespace halcyon::cluster
