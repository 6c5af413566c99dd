#include "cluster/launcher_parts.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <utility>

#include "base/clock.h"
#include "base/digest.h"
#include "base/env.h"

namespace halcyon::cluster {
namespace {

constexpr int64_t kProbeMsMax = 90'000;
constexpr size_t kProbeLogMax = 2000;  // bytes of it that an error shows

// Its rank, what it reads in the state folder, the digest of its worker program.
constexpr char kProbeShell[] =
    "printf 'halcyon-probe %s %s %s\\n' \"${OMPI_COMM_WORLD_RANK:-$SLURM_PROCID}\" "
    "\"$(cat \"$0\" 2>/dev/null || echo none)\" "
    "\"$(sha256sum <\"$1\" 2>/dev/null | cut -d' ' -f1)\"";

struct Answer {
  std::string seen, digest;
};

std::map<size_t, Answer> AnswersIn(const std::string& log) {
  constexpr std::string_view kMark = "halcyon-probe ";
  std::map<size_t, Answer> answers;
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    const size_t mark = line.find(kMark);
    if (mark == std::string::npos) continue;
    std::istringstream words(line.substr(mark + kMark.size()));
    size_t rank = 0;
    Answer answer;
    if (words >> rank >> answer.seen) {
      words >> answer.digest;
      answers[rank] = answer;
    }
  }
  return answers;
}

// Those that may be to blame for their missing answers. A launcher that cannot reach one host
// starts nothing on the others either: then the hosts are asked one by one.
std::set<std::string> Unanswered(const GangLauncher& launcher, const std::vector<jobs::Host>& hosts,
                                 const std::map<size_t, Answer>& answers) {
  std::vector<std::string> missing;
  for (size_t i = 0; i < hosts.size(); ++i) {
    if (!answers.contains(i)) missing.push_back(hosts[i].name);
  }
  if (answers.empty()) {
    const std::vector<std::string> lost = launcher.LostHosts(missing);
    if (!lost.empty()) return {lost.begin(), lost.end()};
  }
  return {missing.begin(), missing.end()};
}

// What is wrong with the hosts, a line each; "" when nothing is.
std::string Faults(const std::vector<jobs::Host>& hosts, const std::map<size_t, Answer>& answers,
                   const std::set<std::string>& unanswered, const std::string& written,
                   const std::string& digest, const LauncherCheck& check) {
  std::string faults;
  for (size_t i = 0; i < hosts.size(); ++i) {
    const auto answer = answers.find(i);
    std::string fault;
    if (answer == answers.end()) {
      if (!unanswered.contains(hosts[i].name)) continue;
      fault = "could not be reached, or starts no processes";
    } else if (answer->second.seen != written) {
      fault = "does not see this machine's " + check.working_dir +
              "; put the state folder on a file system that every host shares, at the same path";
    } else if (answer->second.digest.empty()) {
      fault = "has no " + check.worker_program + "; install Halcyon at the same path on every host";
    } else if (answer->second.digest != digest) {
      fault = "has another " + check.worker_program +
              " than this machine; install the same version on every host";
    }
    if (!fault.empty()) {
      faults += (faults.empty() ? "" : "\n") + ("host " + hosts[i].name + " " + fault);
    }
  }
  return faults;
}

}  // namespace

const std::vector<std::string>& ForeignLauncherPrefixes() {
  static const std::vector<std::string> prefixes = {
      "OMPI_", "ORTE_", "PMIX_", "PMI_", "PRTE_", "SLURM_", "PBS_", "LSB_", "SGE_", "PE_HOSTFILE"};
  return prefixes;
}

const std::vector<std::string>& ForeignStepPrefixes() {
  static const std::vector<std::string> prefixes = {"OMPI_",
                                                    "ORTE_",
                                                    "PMIX_",
                                                    "PMI_",
                                                    "PRTE_",
                                                    "PBS_",
                                                    "LSB_",
                                                    "SGE_",
                                                    "PE_HOSTFILE",
                                                    "SLURM_NNODES",
                                                    "SLURM_NTASKS",
                                                    "SLURM_JOB_NUM_NODES",
                                                    "SLURM_NPROCS",
                                                    "SLURM_CPU_BIND",
                                                    "SLURM_TASKS_PER",
                                                    "SLURM_CPUS_PER_TASK",
                                                    "SLURM_STEP",
                                                    "SLURM_HOSTFILE",
                                                    "SLURM_EXPORT",
                                                    "SLURM_DISTRIBUTION",
                                                    "SLURM_MPI_TYPE"};
  return prefixes;
}

std::string_view BindingName(jobs::Binding binding) {
  switch (binding) {
    case jobs::Binding::kNone:
      return "none";
    case jobs::Binding::kCore:
      return "core";
    case jobs::Binding::kSocket:
      return "socket";
  }
  return "none";
}

std::vector<jobs::HostRanks> PlacementOf(const GangOptions& options,
                                         const std::vector<jobs::Host>& hosts) {
  return options.placement.empty() ? jobs::PlaceRanks(hosts, options.ranks) : options.placement;
}

absl::Status ProbeHosts(GangLauncher& launcher, const std::vector<jobs::Host>& hosts,
                        const LauncherCheck& check) {
  Env& env = *Env::Posix();
  // Another folder of this name, on a disk of a host's own, does not hold this.
  const std::string written = fmt::format("{}-{}", getpid(), Clock::Real()->WallMs());
  const std::string seen_path = JoinPath(check.working_dir, "probe");
  RETURN_IF_ERROR(WriteFileAtomically(env, seen_path, written));
  ASSIGN_OR_RETURN(const std::string digest, Sha256OfFile(check.worker_program));
  GangOptions options;
  options.name = "probe";
  options.ranks = static_cast<uint32_t>(hosts.size());
  options.uses_mpi = false;
  for (const jobs::Host& host : hosts) options.placement.push_back({host.name, 1});
  options.argv = {"/bin/sh", "-c", kProbeShell, seen_path, check.worker_program};
  options.scratch_dir = check.scratch_dir;
  options.working_dir = check.working_dir;
  options.log_path = JoinPath(check.working_dir, "probe.log");
  RETURN_IF_ERROR(env.RemoveTree(options.log_path));
  ASSIGN_OR_RETURN(const auto gang, launcher.Launch(options));
  Clock::Real()->WaitFor([&] { return gang->Poll().has_value() || check.is_stopped(); },
                         kProbeMsMax);
  const bool ended = gang->Poll().has_value();
  if (!ended) gang->Kill();
  const std::string log = env.ReadFile(options.log_path).value_or("");
  RETURN_IF_ERROR(env.RemoveTree(seen_path));
  if (!ended && check.is_stopped()) {
    return Aborted("stopped while the hosts were asked for an answer");
  }
  const std::map<size_t, Answer> answers = AnswersIn(log);
  const std::string faults =
      Faults(hosts, answers, Unanswered(launcher, hosts, answers), written, digest, check);
  if (faults.empty()) return env.RemoveTree(options.log_path);
  if (log.empty()) return InvalidArgument(faults + "\nthe launcher printed nothing");
  return InvalidArgument(faults + "\nwhat the launcher printed (" + options.log_path + "):\n" +
                         log.substr(log.size() - std::min(log.size(), kProbeLogMax)));
}

std::vector<std::string> HostsThatFail(const std::vector<std::string>& hosts,
                                       const HostCommand& command,
                                       const std::vector<std::string>& env_prefixes_dropped) {
  const std::string here = HostName();
  std::vector<std::pair<std::string, std::unique_ptr<ChildProcess>>> asked;
  for (const std::string& host : hosts) {
    if (IsHost(host, here)) continue;
    ProcessOptions process;
    process.argv = command(host);
    process.output_path = "/dev/null";
    process.working_dir = "/";
    process.env_prefixes_dropped = env_prefixes_dropped;
    auto child = ChildProcess::Spawn(process);
    // A host is not blamed for what is missing here.
    if (child.ok()) asked.emplace_back(host, *std::move(child));
  }
  const auto all_ended = [&asked] {
    return std::ranges::all_of(asked, [](auto& one) { return one.second->Poll().has_value(); });
  };
  Clock::Real()->WaitFor(all_ended, kHostAnswerMsMax);
  std::vector<std::string> failing;
  for (auto& [host, child] : asked) {
    const auto exit = child->Poll();
    if (!exit || !exit->ok()) failing.push_back(host);
  }
  return failing;
}

std::vector<std::string> SlurmStep(const std::string& srun, const std::string& slurm_job,
                                   const std::string& host, const std::vector<std::string>& words) {
  std::vector<std::string> command = {
      srun,        "--jobid=" + slurm_job, "--overlap", "--mpi=none",
      "--nodes=1", "--ntasks=1",           "--quiet",   "--input=none",
      "--chdir=/", "--nodelist=" + host};
  command.insert(command.end(), words.begin(), words.end());
  return command;
}

std::unique_ptr<GangLauncher> MakeGangLauncher(const jobs::PlacementSpec& placement,
                                               const Allocation& allocation) {
  return allocation.by_srun ? MakeSrunLauncher(placement, allocation)
                            : MakeMpirunLauncher(placement, allocation);
}

}  // namespace halcyon::cluster
