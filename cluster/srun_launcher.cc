#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/env.h"
#include "cluster/launcher.h"
#include "cluster/launcher_parts.h"
#include "cluster/program_output.h"

namespace halcyon::cluster {
namespace {

constexpr char kSrun[] = "srun";
constexpr int64_t kListMsMax = 30'000;

// The death of srun leaves its step alive; a step is found by its name. Where a node does not
// answer, scancel waits for Slurm's MessageTimeout, so none waits for another.
constexpr char kKillStepShell[] =
    "squeue --noheader --steps --jobs=\"$0\" --format='%i %j' | { while read -r step name; do "
    "if test \"$name\" = \"$1\"; then scancel --signal=KILL \"$step\" & fi; done; wait; }";

class SrunLauncher : public GangLauncher {
 public:
  SrunLauncher(jobs::PlacementSpec placement, Allocation allocation)
      : placement_(std::move(placement)), allocation_(std::move(allocation)) {}

  absl::Status Check(const LauncherCheck& check) override {
    const absl::StatusOr<std::string> list = ProgramOutput({kSrun, "--mpi=list"}, {}, kListMsMax);
    if (!list.ok()) return InvalidArgument(MessageOf(list.status()) + "; Slurm does not answer");
    if (!HasPmix(*list)) return InvalidArgument("Slurm has lost its PMIx plugin: " + *list);
    return ProbeHosts(*this, allocation_.hosts, check);
  }

  absl::StatusOr<std::unique_ptr<Gang>> Launch(const GangOptions& options) override {
    const std::vector<jobs::HostRanks> placed = PlacementOf(options, allocation_.hosts);
    ProcessOptions process;
    process.argv = Command(options, placed);
    process.env = options.env;
    for (const auto& [name, value] : Parameters()) process.env["OMPI_MCA_" + name] = value;
    process.output_path = options.log_path;
    process.working_dir = options.working_dir;
    process.env_prefixes_dropped = ForeignStepPrefixes();
    process.block_stop_signals = true;
    ASSIGN_OR_RETURN(auto child, ChildProcess::Spawn(process));
    GangDescription description{.launcher = kSrun, .hosts = {}};
    description.kill_command = {"/bin/sh", "-c", kKillStepShell, allocation_.slurm_job,
                                options.name};
    for (const jobs::HostRanks& host : placed) description.hosts.push_back(host.host);
    return MakeGang(std::move(child), std::move(description));
  }

  std::vector<std::string> LostHosts(const std::vector<std::string>& hosts) const override {
    return HostsThatFail(
        hosts,
        [this](const std::string& host) {
          return SlurmStep("srun", allocation_.slurm_job, host, {"true"});
        },
        ForeignStepPrefixes());
  }

 private:
  std::map<std::string, std::string> Parameters() const {
    std::map<std::string, std::string> parameters = {{"mpi_yield_when_idle", "1"}};
    if (!placement_.interfaces.empty()) parameters["btl_tcp_if_include"] = placement_.interfaces;
    if (!placement_.transports.empty()) {
      parameters["pml"] = "ob1";
      parameters["btl"] = placement_.transports;
    }
    return parameters;
  }

  // Whether each host has processors for its ranks, as far as that is known.
  bool Fits(const GangOptions& options, const std::vector<jobs::HostRanks>& placed) const {
    return std::ranges::all_of(placed, [&](const jobs::HostRanks& host) {
      const auto known = std::ranges::find_if(
          allocation_.hosts, [&](const jobs::Host& one) { return one.name == host.host; });
      return known != allocation_.hosts.end() && known->cpus >= host.ranks * options.threads;
    });
  }

  std::vector<std::string> Command(const GangOptions& options,
                                   const std::vector<jobs::HostRanks>& placed) const {
    std::string nodes;  // a task each, in the order of ranks
    for (const jobs::HostRanks& host : placed) {
      for (int64_t i = 0; i < host.ranks; ++i) nodes += (nodes.empty() ? "" : ",") + host.host;
    }
    const std::string_view bind = BindingName(placement_.bind);
    std::vector<std::string> command = {
        kSrun, "--jobid=" + allocation_.slurm_job, "--job-name=" + options.name,
        // A node that lost its power keeps the PMIx socket of each step that ran there. After a
        // requeue the numbers of steps begin anew, and a step with the number of such a socket
        // cannot be started.
        options.uses_mpi ? "--mpi=pmix" : "--mpi=none", "--overlap",
        fmt::format("--ntasks={}", options.ranks), "--distribution=arbitrary",
        "--nodelist=" + nodes, fmt::format("--cpu-bind={}{}", bind, bind == "none" ? "" : "s"),
        // A rank's failure ends the others; an end without one leaves them all the time they need.
        "--kill-on-bad-exit=1", "--wait=0", "--export=ALL", "--input=none", "--label",
        "--chdir=" + options.working_dir};
    // Slurm refuses more tasks than it has processors for, unless it is told not to count.
    command.push_back(Fits(options, placed) ? fmt::format("--cpus-per-task={}", options.threads)
                                            : "--overcommit");
    command.insert(command.end(), {"/bin/sh", "-c", kRankShell});
    command.insert(command.end(), options.argv.begin(), options.argv.end());
    return command;
  }

  const jobs::PlacementSpec placement_;
  const Allocation allocation_;
};

}  // namespace

std::unique_ptr<GangLauncher> MakeSrunLauncher(const jobs::PlacementSpec& placement,
                                               const Allocation& allocation) {
  return std::make_unique<SrunLauncher>(placement, allocation);
}

}  // namespace halcyon::cluster
