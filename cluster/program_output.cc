#include "cluster/program_output.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include "base/clock.h"
#include "base/env.h"
#include "base/file_descriptor.h"
#include "cluster/process.h"

namespace halcyon::cluster {
namespace {

constexpr int64_t kEndPollMs = 5;

}  // namespace

absl::StatusOr<std::string> ProgramOutput(const std::vector<std::string>& argv,
                                          const std::vector<std::string>& env_prefixes_dropped,
                                          int64_t ms_max) {
  // In memory: needs neither a folder nor room on a disk.
  const FileDescriptor memory(memfd_create("output", MFD_CLOEXEC));
  if (memory.get() < 0) return ErrnoStatus(errno, "memfd_create");
  ProcessOptions process;
  process.argv = argv;
  process.output_path = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(memory.get());
  process.working_dir = "/";
  process.env_prefixes_dropped = env_prefixes_dropped;
  ASSIGN_OR_RETURN(const auto child, ChildProcess::Spawn(process));
  if (!Clock::Real()->WaitFor([&] { return child->Poll().has_value(); }, ms_max, kEndPollMs)) {
    std::string command = FoundInPath(argv[0]);
    for (size_t i = 1; i < argv.size(); ++i) command += " " + argv[i];
    return InvalidArgument(command + " did not end within " + std::to_string(ms_max / 1000) + " s");
  }
  return Env::Posix()->ReadFile(process.output_path);
}

std::string FoundInPath(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string candidate = JoinPath(folder.empty() ? "." : folder, name);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return name;
}

}  // namespace halcyon::cluster
