#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>
#include <thread>
#include <utility>

#include "base/env.h"
#include "base/process_identity.h"
#include "cluster/launcher.h"
#include "cluster/launcher_parts.h"
#include "cluster/program_output.h"

namespace halcyon::cluster {
namespace {

constexpr char kMpirun[] = "mpirun";
constexpr char kPreloadLibrary[] = "libhalcyon_mpirun.so";
constexpr int64_t kVersionMsMax = 30'000;
// Without a terminal ssh must not ask for a password.
constexpr char kDefaultRshAgent[] = "ssh -x -o BatchMode=yes";
constexpr char kWhatToDo[] =
    "install Open MPI 4 (Debian's openmpi-bin) and put its folder first in PATH";

// kRankShell that also restores the ranks' LD_PRELOAD.
constexpr char kLocalRankShell[] =
    "trap '' HUP INT TERM USR1 USR2; LD_PRELOAD=$HALCYON_RANK_PRELOAD; "
    "if test -z \"$LD_PRELOAD\"; then unset LD_PRELOAD; fi; unset HALCYON_RANK_PRELOAD; "
    "exec \"$0\" \"$@\"";

absl::StatusOr<std::string> PreloadLibrary() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return Internal("cannot read /proc/self/exe: " + error.message());
  const std::string path = self.parent_path() / kPreloadLibrary;
  if (access(path.c_str(), R_OK) == 0) return path;
  return NotFound("no " + path + ": it is built with this program and belongs beside it");
}

absl::Status NoMpirun(const absl::Status& why) {
  return NotFound(MessageOf(why) + ": the job has a stage that ranks train, which mpirun starts; " +
                  kWhatToDo);
}

using Parameters = std::map<std::string, std::string>;

class MpirunLauncher : public GangLauncher {
 public:
  MpirunLauncher(jobs::PlacementSpec placement, Allocation allocation)
      : placement_(std::move(placement)), allocation_(std::move(allocation)) {}

  absl::Status Check(const LauncherCheck& check) override {
    if (is_local()) RETURN_IF_ERROR(PreloadLibrary().status());
    const absl::StatusOr<std::string> output =
        ProgramOutput({kMpirun, "--version"}, ForeignVariables(), kVersionMsMax);
    if (absl::IsNotFound(output.status())) return NoMpirun(output.status());
    if (!output.ok()) return InvalidArgument(MessageOf(output.status()) + "; " + kWhatToDo);
    RETURN_IF_ERROR(CheckMpirunVersion(*output, FoundInPath(kMpirun)));
    return is_local() ? absl::OkStatus() : ProbeHosts(*this, allocation_.hosts, check);
  }

  absl::StatusOr<std::unique_ptr<Gang>> Launch(const GangOptions& options) override {
    RETURN_IF_ERROR(Env::Posix()->RemoveTree(options.scratch_dir));
    RETURN_IF_ERROR(Env::Posix()->CreateDirs(options.scratch_dir));
    ProcessOptions process;
    process.env = options.env;
    process.output_path = options.log_path;
    process.working_dir = options.working_dir;
    process.env_prefixes_dropped = ForeignVariables();
    process.block_stop_signals = true;
    // Containers run as root; mpirun demands two variables that confirm it.
    process.env.emplace("OMPI_ALLOW_RUN_AS_ROOT", "1");
    process.env.emplace("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    // Open MPI's own temporary files; a TMPDIR that is gone or full is not needed.
    process.env["TMPDIR"] = options.scratch_dir;
    GangDescription description{.launcher = kMpirun, .hosts = {}};
    if (is_local()) {
      RETURN_IF_ERROR(PrepareLocal(options, &process));
    } else {
      const std::vector<jobs::HostRanks> placed = PlacementOf(options, allocation_.hosts);
      process.argv = HostsCommand(options, placed);
      for (const jobs::HostRanks& host : placed) description.hosts.push_back(host.host);
    }
    auto child = ChildProcess::Spawn(process);
    if (absl::IsNotFound(child.status())) return NoMpirun(child.status());
    RETURN_IF_ERROR(child.status());
    return MakeGang(*std::move(child), std::move(description));
  }

  std::vector<std::string> LostHosts(const std::vector<std::string>& hosts) const override {
    if (is_local()) return {};
    return HostsThatFail(
        hosts,
        [this](const std::string& host) {
          if (!allocation_.slurm_job.empty()) {
            return SlurmStep("srun", allocation_.slurm_job, host, {"true"});
          }
          std::vector<std::string> command = RemoteShell(placement_.rsh_agent, host);
          command.push_back("true");
          return command;
        },
        ForeignVariables());
  }

 private:
  bool is_local() const { return allocation_.hosts.empty(); }

  const std::vector<std::string>& ForeignVariables() const {
    return is_local() || allocation_.slurm_job.empty() ? ForeignLauncherPrefixes()
                                                       : ForeignStepPrefixes();
  }

  absl::Status PrepareLocal(const GangOptions& options, ProcessOptions* process) const {
    ASSIGN_OR_RETURN(const std::string preload, PreloadLibrary());
    // Threads that wait for work spin by default, which stops the others where cores are short.
    if (options.ranks * options.threads > std::thread::hardware_concurrency()) {
      process->env.emplace("OMP_WAIT_POLICY", "passive");
    }
    const char* users = std::getenv("LD_PRELOAD");
    process->env["HALCYON_RANK_PRELOAD"] = users != nullptr ? users : "";
    process->env["LD_PRELOAD"] = preload + (users != nullptr ? ":" + std::string(users) : "");
    Parameters parameters = {
        // Shared memory and the loopback device alone: no network, no fabric and no ssh is needed.
        {"plm", "isolated"},
        {"ras", "^slurm,gridengine,tm,lsf,loadleveler,alps,simulator"},
        {"oob_tcp_if_include", "lo"},
        {"pml", "ob1"},
        {"btl", "self,vader"},
        // kill -9 leaves files behind; here they are found and removed by the next launch.
        {"orte_tmpdir_base", options.scratch_dir},
        {"btl_vader_backing_directory", options.scratch_dir},
    };
    process->argv =
        Command(options, "localhost:" + std::to_string(options.ranks), std::move(parameters));
    return absl::OkStatus();
  }

  std::vector<std::string> HostsCommand(const GangOptions& options,
                                        const std::vector<jobs::HostRanks>& placed) const {
    std::string hosts;
    for (const jobs::HostRanks& host : placed) {
      hosts += (hosts.empty() ? "" : ",") + host.host + ":" + std::to_string(host.ranks);
    }
    Parameters parameters = {{"ras", "^slurm,gridengine,tm,lsf,loadleveler,alps,simulator"}};
    if (allocation_.slurm_job.empty()) {
      parameters["plm"] = "rsh";
      if (!placement_.rsh_agent.empty()) parameters["plm_rsh_agent"] = placement_.rsh_agent;
    } else {
      parameters["plm"] = "slurm";
      parameters["plm_slurm_args"] = DaemonStepArguments(placed);
    }
    if (!placement_.interfaces.empty()) {
      parameters["oob_tcp_if_include"] = placement_.interfaces;
      parameters["btl_tcp_if_include"] = placement_.interfaces;
    }
    return Command(options, hosts, std::move(parameters));
  }

  // Its own choice of nodes would be that of an allocation which it does not know here. Steps share
  // the processors: agents' steps run beside this one.
  static std::string DaemonStepArguments(const std::vector<jobs::HostRanks>& placed) {
    const std::string here = HostName();
    std::string nodes;
    size_t count = 0;
    for (const jobs::HostRanks& host : placed) {
      if (IsHost(host.host, here)) continue;  // mpirun is its daemon
      nodes += (count++ == 0 ? "" : ",") + host.host;
    }
    return "--overlap --nodes=" + std::to_string(count) + " --nodelist=" + nodes;
  }

  std::vector<std::string> Command(const GangOptions& options, const std::string& hosts,
                                   Parameters parameters) const {
    // Slots are given, so that there may be more ranks than cores. Open MPI then believes that it
    // has a core for each rank, and must be told that waiting ranks yield.
    parameters.emplace("mpi_yield_when_idle", "1");
    if (!placement_.transports.empty()) {
      parameters["pml"] = "ob1";
      parameters["btl"] = placement_.transports;
    }
    std::vector<std::string> command = {kMpirun,
                                        "-np",
                                        std::to_string(options.ranks),
                                        "--tag-output",
                                        "--host",
                                        hosts,
                                        "--bind-to",
                                        std::string(BindingName(placement_.bind))};
    // Daemons that detach sometimes never report in Open MPI 4.1.
    if (!is_local()) command.push_back("--leave-session-attached");
    for (const auto& [name, value] : parameters) {
      command.insert(command.end(), {"--mca", name, value});
    }
    for (const auto& [name, value] : options.env) command.insert(command.end(), {"-x", name});
    command.insert(command.end(), {"/bin/sh", "-c", is_local() ? kLocalRankShell : kRankShell});
    command.insert(command.end(), options.argv.begin(), options.argv.end());
    return command;
  }

  const jobs::PlacementSpec placement_;
  const Allocation allocation_;
};

}  // namespace

std::unique_ptr<GangLauncher> MakeMpirunLauncher(const jobs::PlacementSpec& placement,
                                                 const Allocation& allocation) {
  return std::make_unique<MpirunLauncher>(placement, allocation);
}

std::vector<std::string> RemoteShell(const std::string& rsh_agent, const std::string& host) {
  std::vector<std::string> command;
  std::istringstream words(rsh_agent.empty() ? kDefaultRshAgent : rsh_agent);
  for (std::string word; words >> word && word != ":";) command.push_back(word);
  command.push_back(host);
  return command;
}

absl::Status CheckMpirunVersion(const std::string& output, const std::string& path) {
  constexpr std::string_view kOpenMpi4 = "(Open MPI) 4.";
  const std::string first_line = output.substr(0, output.find('\n'));
  if (first_line.find(kOpenMpi4) != std::string::npos) return absl::OkStatus();
  return InvalidArgument(path + " is not mpirun of Open MPI 4, which the ranks are built for: `" +
                         "mpirun --version` printed \"" + first_line + "\"; " + kWhatToDo);
}

}  // namespace halcyon::cluster
