#include "coordinator/processes/processes.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

#include "base/disk_space.h"
#include "cluster/contact.h"
#include "coordinator/run/gang_stage.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kRankEndMsMax = 10000;
constexpr int64_t kRankEndPollMs = 10;
// What a rank's shared memory and log take of the disk before it has done anything.
constexpr DiskRoom kRankRoom{8 << 20, 16};
// With less, ranks that are being started hang rather than fail: they wait for shared memory.
constexpr DiskRoom kStartingRoom{1 << 20, 1};

// The process that a Hello names, when it is proven to be of the gang below `launcher`.
std::optional<cluster::ProcessIdentity> ProvenProcess(const cluster::Hello& hello, pid_t launcher) {
  if (hello.boot_id != cluster::BootId() || !std::in_range<pid_t>(hello.pid)) return std::nullopt;
  const cluster::ProcessIdentity process{static_cast<pid_t>(hello.pid), hello.start_time};
  if (!cluster::DescendsFrom(process, launcher)) return std::nullopt;
  return process;
}

std::string LauncherLogPath(const JobContext& context, const std::string& label) {
  return JoinPath(context.home.JobLogs(context.job.value()), LauncherName(label) + ".log");
}

absl::Status CheckRankRoom(const JobContext& context, const DiskRoom& needed) {
  ASSIGN_OR_RETURN(const DiskRoom free, context.free_room(context.home.root));
  return CheckRoom(free, needed, context.home.root, "starting the ranks");
}

}  // namespace

Processes::Processes(const JobContext* context, Post post)
    : context_(context),
      post_(std::move(post)),
      agents_origin_(OriginOfAgents(context->worker_program, context->spec)),
      earlier_(context->earlier_gangs) {
  AdoptAgents();
}

void Processes::AdoptAgents() {
  for (const EarlierAgent& agent : AgentsOf(context_->earlier_agents)) {
    ChildLog log(*context_->env, AgentLogPath(*context_, agent.id.name));
    auto process =
        context_->gang_launcher->Adopt(context_->earlier_agents.at(agent.id.name).launcher);
    if (process.ok()) {
      agents_.emplace(agent.id, Agent{*std::move(process), std::move(log)});
    } else {
      ended_.push_back(event::AgentEnded{agent.id, process.status(), absl::OkStatus()});
    }
  }
}

Processes::~Processes() { EndEarlierGangs(); }

void Processes::EndEarlierGangs() {
  for (const auto& [label, record] : std::exchange(earlier_, {})) {
    const auto gang = context_->gang_launcher->Adopt(record.launcher);
    if (gang.ok()) spdlog::warn("{}: an earlier launch that is not adopted is killed", label);
  }
}

void Processes::Leave() {
  earlier_.clear();
  for (auto& [id, agent] : agents_) agent.process->Leave();
  for (auto& [stage, gang] : gangs_) {
    if (gang.launched.gang != nullptr) gang.launched.gang->Leave();
  }
}

absl::Status Processes::Adopt(const effect::AdoptGang& adopt, const jobs::StageNode& node) {
  const auto earlier = earlier_.extract(node.label);
  if (earlier.empty()) return NotFound("no earlier launch is known");
  Gang& gang = gangs_[adopt.stage];
  gang = Gang();
  gang.launch = adopt.launch;
  gang.launched.log =
      std::make_shared<ChildLog>(*context_->env, LauncherLogPath(*context_, node.label));
  ASSIGN_OR_RETURN(gang.launched.gang, context_->gang_launcher->Adopt(earlier.mapped().launcher));
  return absl::OkStatus();
}

void Processes::RecordGang(const jobs::StageNode& node, const effect::Launch& launch,
                           const cluster::Gang& gang) {
  const EarlierGangRecord record{launch.fingerprint, launch.claim, launch.launch,
                                 static_cast<uint64_t>(launch.ranks), gang.record()};
  post_([this, label = node.label, json = ToJson(record)] {
    return context_->journal->PutGang(label, json);
  });
}

void Processes::Record(const std::string& name, const cluster::ProcessIdentity& process) {
  post_([this, name, process] {
    return context_->journal->PutProcess(name, LocatedProcess::OfThisMachine(process));
  });
}

absl::Status Processes::StartAgent(const WorkerId& agent) {
  ChildLog log(*context_->env, AgentLogPath(*context_, agent.name));
  ASSIGN_OR_RETURN(auto process, context_->agent_spawner->Spawn(agent),
                   "cannot start " + agent.name);
  if (const auto launcher = process->launcher()) Record(agent.name, *launcher);
  const EarlierAgentRecord record{agent.incarnation, agents_origin_, process->record()};
  post_([this, name = agent.name, json = ToJson(record)] {
    return context_->journal->PutAgent(name, json);
  });
  agents_.emplace(agent, Agent{std::move(process), std::move(log)});
  return absl::OkStatus();
}

cluster::GangOptions Processes::Options(const jobs::StageNode& node,
                                        const effect::Launch& launch) const {
  const std::string logs = context_->home.JobLogs(context_->job.value());
  const std::string prefix = RankPrefix(node.label);
  const auto threads = static_cast<uint32_t>(context_->spec.launch.threads);
  cluster::GangOptions options;
  // Of all jobs in an allocation no two gangs have one name.
  options.name = context_->job.value() + "-" + node.label + "-" + std::to_string(launch.launch);
  options.ranks = static_cast<uint32_t>(launch.ranks);
  // When all are excluded there is no better choice than any of them.
  const std::vector<jobs::Host> hosts =
      cluster::HostsWithout(context_->allocation.hosts, launch.excluded_hosts);
  if (!hosts.empty() && !launch.excluded_hosts.empty()) {
    options.placement = jobs::PlaceRanks(hosts, launch.ranks);
  }
  options.threads = threads;
  options.env = cluster::ReproducibleEnvironment(threads, context_->spec.launch.arithmetic);
  options.env[cluster::kRanksVariable] = std::to_string(options.ranks);
  options.log_path = LauncherLogPath(*context_, node.label);
  options.scratch_dir = LauncherScratchDir(*context_);
  options.working_dir = context_->home.Job(context_->job.value());
  options.argv = {context_->worker_program,
                  "rank",
                  "--contact-file",
                  cluster::ContactFile(context_->home.Job(context_->job.value())),
                  "--orphan-grace-s",
                  std::to_string(context_->spec.launch.orphan_grace_s),
                  "--job",
                  context_->job.value(),
                  "--name-prefix",
                  prefix,
                  "--worker-incarnation",
                  std::to_string(launch.launch),
                  "--incarnation",
                  std::to_string(context_->incarnation.value()),
                  "--alive-file",
                  context_->home.AliveFile(context_->job.value()),
                  "--log-prefix",
                  JoinPath(logs, prefix),
                  "--threads",
                  std::to_string(threads)};
  return options;
}

absl::StatusOr<bool> Processes::Launch(const effect::Launch& launch, const jobs::StageNode& node) {
  EndEarlierGangs();  // one gang at a time
  const cluster::GangOptions options = Options(node, launch);
  Gang& gang = gangs_[launch.stage];
  gang = Gang();
  gang.launch = launch.launch;
  gang.launched.log = std::make_shared<ChildLog>(*context_->env, options.log_path);
  // MPI's ranks hang rather than fail when their shared memory finds no room.
  RETURN_IF_ERROR(
      CheckRankRoom(*context_, {kRankRoom.bytes * options.ranks, kRankRoom.files * options.ranks}));
  ASSIGN_OR_RETURN(gang.launched.gang, context_->gang_launcher->Launch(options));
  if (std::string waits_for = gang.launched.gang->waits_for(); !waits_for.empty()) {
    gang.waits_for = std::move(waits_for);
  }
  if (const auto launcher = gang.launched.gang->launcher()) {
    Record(LauncherName(node.label), *launcher);
  }
  RecordGang(node, launch, *gang.launched.gang);
  return !gang.waits_for.has_value();
}

void Processes::TrackRank(const effect::TrackRank& track) {
  const auto gang = gangs_.find(track.stage);
  if (gang == gangs_.end()) return;
  Launched& launched = gang->second.launched;
  // Those that no launcher of this process has started are not killed from here either.
  if (launched.gang != nullptr && !launched.gang->launcher()) return;
  const auto process = launched.gang == nullptr
                           ? std::nullopt
                           : ProvenProcess(track.hello, launched.gang->launcher()->pid);
  // One that was placed on another machine ends with its launcher.
  if (!process && launched.gang != nullptr && !launched.gang->hosts().empty()) return;
  if (!process) {
    spdlog::warn("{}: process {} is not of this launch; it is not killed", track.rank.name,
                 track.hello.pid);
    return;
  }
  launched.ranks.push_back(*process);
  Record(track.rank.name, *process);
}

void Processes::KillGang(NodeId stage) {
  const auto gang = gangs_.find(stage);
  if (gang != gangs_.end() && gang->second.launched.gang != nullptr) {
    gang->second.launched.gang->Kill();
  }
}

Processes::Launched Processes::TakeGang(NodeId stage) {
  const auto gang = gangs_.extract(stage);
  return gang.empty() ? Launched() : gang.mapped().launched;
}

// Ranks outlive a launcher that was killed, for a moment; the next launch must not run beside them.
GangRemains Processes::End(const JobContext& context, const Launched& gang,
                           const std::string& label) {
  for (const cluster::ProcessIdentity& rank : gang.ranks) cluster::KillProcess(rank);
  const auto all_gone = [&gang] {
    return std::none_of(gang.ranks.begin(), gang.ranks.end(), cluster::IsAlive);
  };
  if (!context.clock->WaitFor(all_gone, kRankEndMsMax, kRankEndPollMs)) {
    // It hangs in the kernel. What it still writes is refused by its fence.
    spdlog::warn("{}: a rank that was killed does not end", label);
  }
  GangRemains remains;
  remains.log_path = gang.log->path();
  if (gang.end) {
    const absl::Status end = ChildEndStatus("the launcher", *gang.end, *gang.log);
    remains.how = MessageOf(end);
    if (!gang.end->ok()) remains.exit = end;
  }
  remains.room = CheckStartingRoom(context);
  return remains;
}

void Processes::FindLostHosts(const JobContext& context, const Launched& gang,
                              GangRemains* remains) {
  if (remains->exit.ok() || gang.gang == nullptr || gang.gang->hosts().size() < 2) return;
  remains->hosts = gang.gang->hosts();
  remains->lost_hosts = context.gang_launcher->LostHosts(remains->hosts);
}

std::vector<Event> Processes::Poll(const std::function<absl::Status()>& room) {
  std::vector<Event> events = std::exchange(ended_, {});
  for (auto it = agents_.begin(); it != agents_.end();) {
    const auto& [id, agent] = *it;
    const auto end = agent.process->Poll();
    if (!end) {
      ++it;
      continue;
    }
    events.push_back(event::AgentEnded{id, ChildEndStatus(id.name, *end, agent.log), room()});
    it = agents_.erase(it);
  }
  for (auto& [stage, gang] : gangs_) {
    Launched& launched = gang.launched;
    if (launched.end || launched.gang == nullptr) continue;
    launched.end = launched.gang->Poll();
    if (launched.end) {
      events.push_back(event::LauncherEnded{stage, gang.launch});
    } else if (gang.waits_for) {
      const std::string waits_for = launched.gang->waits_for();
      if (waits_for.empty()) {
        gang.waits_for.reset();
        events.push_back(event::Launched{stage, gang.launch, absl::OkStatus()});
      } else if (waits_for != *gang.waits_for) {
        gang.waits_for = waits_for;
        events.push_back(event::LaunchWaits{stage, gang.launch, waits_for});
      }
    }
  }
  return events;
}

int64_t AgentCount(const jobs::JobSpec& spec, const cluster::Allocation& allocation) {
  if (spec.launch.agents > 0) return spec.launch.agents;
  if (allocation.hosts.empty()) return std::max<int64_t>(1, std::thread::hardware_concurrency());
  int64_t agents = 0;
  for (const jobs::Host& host : allocation.hosts) {
    agents += std::clamp<int64_t>(std::max(host.cpus, host.slots), 1, kAgentsAHostMax);
  }
  return agents;
}

std::string AgentLogPath(const JobContext& context, const std::string& agent) {
  return JoinPath(context.home.JobLogs(context.job.value()), agent + ".log");
}

absl::Status CheckStartingRoom(const JobContext& context) {
  return CheckRankRoom(context, kStartingRoom);
}

}  // namespace halcyon::coordinator
