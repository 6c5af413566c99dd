#include <sys/uio.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <thread>

#include "base/clock.h"
#include "base/env.h"
#include "cluster/launcher.h"

namespace halcyon::cluster {
namespace {

constexpr char kMpirun[] = "mpirun";
constexpr char kPreloadLibrary[] = "libhalcyon_mpirun.so";
constexpr int64_t kVersionMsMax = 30'000;
constexpr int64_t kVersionPollMs = 5;
constexpr char kWhatToDo[] =
    "install Open MPI 4 (Debian's openmpi-bin) and put its folder first in PATH";

// Variables that resource managers, or an mpirun that this process runs under, set. They are not
// passed on: a gang runs on this machine alone, with the job's number of ranks.
const std::vector<std::string>& ForeignLauncherPrefixes() {
  static const std::vector<std::string> prefixes = {
      "OMPI_", "ORTE_", "PMIX_", "PMI_", "PRTE_", "SLURM_", "PBS_", "LSB_", "SGE_", "PE_HOSTFILE"};
  return prefixes;
}

// Makes the ranks ignore stop signals before their own main() does: mpirun resets the dispositions
// that it inherited, and loading LibTorch takes long. Also restores the ranks' LD_PRELOAD.
constexpr char kRankShell[] =
    "trap '' HUP INT TERM USR1 USR2; LD_PRELOAD=$HALCYON_RANK_PRELOAD; "
    "if test -z \"$LD_PRELOAD\"; then unset LD_PRELOAD; fi; unset HALCYON_RANK_PRELOAD; "
    "exec \"$0\" \"$@\"";

// The first `name` in PATH, as posix_spawnp finds it; the name itself when there is none.
std::string FoundInPath(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string candidate = JoinPath(folder.empty() ? "." : folder, name);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return name;
}

absl::StatusOr<std::string> PreloadLibrary() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return Internal("cannot read /proc/self/exe: " + error.message());
  const std::string path = self.parent_path() / kPreloadLibrary;
  if (access(path.c_str(), R_OK) == 0) return path;
  return NotFound("no " + path + ": it is built with this program and belongs beside it");
}

// Whether ranks may copy straight from each other's memory, which moves gathered parameters four
// times as fast as through a shared segment. A container's system call filter may forbid it (the
// call then fails on the own process, too), and so may Yama. Open MPI does not look: its transfers
// fail. So where there is doubt they go through the segment.
bool MayReadOtherProcesses() {
  char from = 1, to = 0;
  const iovec local = {&to, 1}, remote = {&from, 1};
  if (process_vm_readv(getpid(), &local, 1, &remote, 1, /*flags=*/0) != 1) return false;
  const auto yama = Env::Posix()->ReadFile("/proc/sys/kernel/yama/ptrace_scope");
  return absl::IsNotFound(yama.status()) || (yama.ok() && yama->starts_with('0'));
}

absl::Status NoMpirun(const absl::Status& why) {
  return NotFound(MessageOf(why) + ": the job has a stage that ranks train, which mpirun starts; " +
                  kWhatToDo);
}

class MpirunLauncher : public GangLauncher {
 public:
  absl::Status Check(const std::string& scratch_dir) override {
    RETURN_IF_ERROR(PreloadLibrary().status());
    RETURN_IF_ERROR(Env::Posix()->RemoveTree(scratch_dir));
    RETURN_IF_ERROR(Env::Posix()->CreateDirs(scratch_dir));
    const absl::StatusOr<std::string> output = VersionOutput(scratch_dir);
    if (absl::IsNotFound(output.status())) return NoMpirun(output.status());
    RETURN_IF_ERROR(output.status());
    return CheckMpirunVersion(*output, FoundInPath(kMpirun));
  }

  absl::StatusOr<std::unique_ptr<Gang>> Launch(const GangOptions& options) override {
    RETURN_IF_ERROR(Env::Posix()->RemoveTree(options.scratch_dir));
    RETURN_IF_ERROR(Env::Posix()->CreateDirs(options.scratch_dir));
    ASSIGN_OR_RETURN(const std::string preload, PreloadLibrary());
    ProcessOptions process;
    process.argv = Command(options);
    process.env = options.env;
    process.output_path = options.log_path;
    process.working_dir = options.working_dir;
    process.env_prefixes_dropped = ForeignLauncherPrefixes();
    process.block_stop_signals = true;
    // Threads that wait for work spin by default, which stops the others where cores are short.
    if (options.ranks * options.threads > std::thread::hardware_concurrency()) {
      process.env.emplace("OMP_WAIT_POLICY", "passive");
    }
    // Containers run as root; mpirun demands two variables that confirm it.
    process.env.emplace("OMPI_ALLOW_RUN_AS_ROOT", "1");
    process.env.emplace("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    const char* users = std::getenv("LD_PRELOAD");
    process.env["HALCYON_RANK_PRELOAD"] = users != nullptr ? users : "";
    process.env["LD_PRELOAD"] = preload + (users != nullptr ? ":" + std::string(users) : "");
    // Open MPI's own temporary files; a TMPDIR that is gone or full is not needed.
    process.env["TMPDIR"] = options.scratch_dir;
    auto child = ChildProcess::Spawn(process);
    if (absl::IsNotFound(child.status())) return NoMpirun(child.status());
    RETURN_IF_ERROR(child.status());
    return MakeGang(*std::move(child), {.launcher = kMpirun, .hosts = {}});
  }

 private:
  static absl::StatusOr<std::string> VersionOutput(const std::string& scratch_dir) {
    ProcessOptions process;
    process.argv = {kMpirun, "--version"};
    process.output_path = JoinPath(scratch_dir, "version");
    process.working_dir = "/";
    process.env_prefixes_dropped = ForeignLauncherPrefixes();
    ASSIGN_OR_RETURN(const auto child, ChildProcess::Spawn(process));
    if (!Clock::Real()->WaitFor([&] { return child->Poll().has_value(); }, kVersionMsMax,
                                kVersionPollMs)) {
      return InvalidArgument(FoundInPath(kMpirun) + " --version did not end within " +
                             std::to_string(kVersionMsMax / 1000) + " s; " + kWhatToDo);
    }
    return Env::Posix()->ReadFile(process.output_path);
  }

  static std::vector<std::string> Command(const GangOptions& options) {
    const std::string ranks = std::to_string(options.ranks);
    std::vector<std::string> command = {kMpirun, "-np", ranks, "--tag-output"};
    // Slots are given, so that there may be more ranks than cores. Open MPI then believes that it
    // has a core for each rank, and must be told that waiting ranks yield.
    command.insert(command.end(), {"--host", "localhost:" + ranks, "--bind-to", "none"});
    const std::vector<std::pair<std::string, std::string>> parameters = {
        {"mpi_yield_when_idle", "1"},
        // Shared memory and the loopback device alone: no network, no fabric and no ssh is needed.
        {"plm", "isolated"},
        {"ras", "^slurm,gridengine,tm,lsf,loadleveler,alps,simulator"},
        {"oob_tcp_if_include", "lo"},
        {"pml", "ob1"},
        {"btl", "self,vader"},
        {"btl_vader_single_copy_mechanism", MayReadOtherProcesses() ? "cma" : "none"},
        // kill -9 leaves files behind; here they are found and removed by the next launch.
        {"orte_tmpdir_base", options.scratch_dir},
        {"btl_vader_backing_directory", options.scratch_dir},
    };
    for (const auto& [name, value] : parameters) {
      command.insert(command.end(), {"--mca", name, value});
    }
    for (const auto& [name, value] : options.env) command.insert(command.end(), {"-x", name});
    command.insert(command.end(), {"/bin/sh", "-c", kRankShell});
    command.insert(command.end(), options.argv.begin(), options.argv.end());
    return command;
  }
};

}  // namespace

std::unique_ptr<GangLauncher> MakeMpirunLauncher() { return std::make_unique<MpirunLauncher>(); }

absl::Status CheckMpirunVersion(const std::string& output, const std::string& path) {
  constexpr std::string_view kOpenMpi4 = "(Open MPI) 4.";
  const std::string first_line = output.substr(0, output.find('\n'));
  if (first_line.find(kOpenMpi4) != std::string::npos) return absl::OkStatus();
  return InvalidArgument(path + " is not mpirun of Open MPI 4, which the ranks are built for: `" +
                         "mpirun --version` printed \"" + first_line + "\"; " + kWhatToDo);
}

}  // namespace halcyon::cluster
