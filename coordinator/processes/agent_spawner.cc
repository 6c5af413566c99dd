#include "coordinator/processes/agent_spawner.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/process_identity.h"
#include "cluster/contact.h"
#include "coordinator/processes/processes.h"

namespace halcyon::coordinator {
namespace {

// A thousand ranks of a thousand threads are allowed; one process cannot have them all.
constexpr int64_t kEvalThreadsMax = 1024;

// One entry an agent, hosts in turn, so that a few agents are spread over all hosts.
std::vector<std::string> HostsOfAgents(const JobContext& context) {
  std::vector<std::string> hosts;
  if (context.allocation.hosts.empty()) return hosts;
  std::vector<jobs::Host> shares = context.allocation.hosts;
  for (jobs::Host& host : shares) host.slots = 0;
  auto placed = jobs::PlaceRanks(shares, AgentCount(context.spec, context.allocation));
  for (bool any = true; any;) {
    any = false;
    for (jobs::HostRanks& host : placed) {
      if (host.ranks-- <= 0) continue;
      hosts.push_back(host.host);
      any = true;
    }
  }
  return hosts;
}

// 3 of "agent-3"; 0 where there is no number.
size_t AgentNumber(const std::string& name) {
  size_t number = 0;
  const size_t digits = name.find_last_not_of("0123456789") + 1;
  std::from_chars(name.data() + digits, name.data() + name.size(), number);
  return number;
}

}  // namespace

ProcessAgentSpawner::ProcessAgentSpawner(const JobContext* context)
    : context_(context), here_(HostName()), hosts_(HostsOfAgents(*context)) {}

std::vector<std::string> ProcessAgentSpawner::Command(const WorkerId& agent) const {
  const jobs::LaunchSpec& launch = context_->spec.launch;
  return {context_->worker_program, "agent", "--contact-file",
          cluster::ContactFile(context_->home.Job(context_->job.value())), "--orphan-grace-s",
          std::to_string(launch.orphan_grace_s), "--job", context_->job.value(), "--name",
          agent.name, "--worker-incarnation", std::to_string(agent.incarnation), "--incarnation",
          std::to_string(context_->incarnation.value()), "--alive-file",
          context_->home.AliveFile(context_->job.value()), "--log",
          AgentLogPath(*context_, agent.name),
          // For the final evaluation, when no ranks run.
          "--threads", std::to_string(std::min(launch.ranks * launch.threads, kEvalThreadsMax))};
}

absl::StatusOr<std::unique_ptr<cluster::Gang>> ProcessAgentSpawner::Spawn(const WorkerId& agent) {
  const std::string log_path = AgentLogPath(*context_, agent.name);
  const std::string working_dir = context_->home.Job(context_->job.value());
  const auto env = cluster::ReproducibleEnvironment(1, context_->spec.launch.arithmetic);
  const std::string host = hosts_.empty() ? here_ : hosts_[AgentNumber(agent.name) % hosts_.size()];
  if (!cluster::IsHost(host, here_)) {
    cluster::GangOptions options;
    options.name =
        context_->job.value() + "-" + agent.name + "-" + std::to_string(agent.incarnation);
    options.placement = {{host, 1}};
    options.uses_mpi = false;
    options.argv = Command(agent);
    options.env = env;
    options.log_path = log_path;
    options.scratch_dir = LauncherScratchDir(*context_) + "-" + agent.name;
    options.working_dir = working_dir;
    return context_->gang_launcher->Launch(options);
  }
  cluster::ProcessOptions options;
  options.argv = Command(agent);
  options.env = env;
  options.output_path = log_path;
  options.working_dir = working_dir;
  options.block_stop_signals = true;
  ASSIGN_OR_RETURN(auto child, cluster::ChildProcess::Spawn(options));
  return cluster::MakeGang(std::move(child), {.launcher = cluster::kNoLauncher, .hosts = {}});
}

}  // namespace halcyon::coordinator
