// What the simulated service does for each kind of effect.
#include <algorithm>
#include <utility>

#include "coordinator/run/gang_stage.h"
#include "tests/simulation/service.h"
#include "tests/simulation/world.h"

namespace halcyon::simulation {

namespace event = coordinator::event;
namespace effect = coordinator::effect;
using jobs::NodeId;

namespace {

// How long the real service waits for killed ranks.
constexpr int64_t kRankEndMsMax = 10'000;

}  // namespace

// --- workers ---

void Service::Do(const effect::Send& send) {
  if (const auto* lease = std::get_if<cluster::Lease>(&send.body)) {
    leases_[lease->task] = {lease->fence, send.worker};
  }
  if (forgotten_.contains(send.worker)) return;
  streams_[send.worker].Queue(send.body);
  SendDue(send.worker);
}

void Service::Do(const effect::Forget& forget) {
  detector_.Remove(forget.worker);
  streams_.erase(forget.worker);
  forgotten_.insert(forget.worker);
  std::erase_if(events_, [&](const coordinator::Event& event) {
    const auto* received = std::get_if<event::Received>(&event);
    return received != nullptr && received->message.worker == forget.worker;
  });
}

void Service::Do(const effect::StartAgent& start) {
  const std::vector<size_t> hosts = job_->Hosts();
  const size_t number = std::stoul(start.agent.name.substr(start.agent.name.rfind('-') + 1));
  const size_t host = hosts[number % hosts.size()];
  const auto agent = std::make_shared<Agent>(job_, start.agent, incarnation_, host);
  agents_[start.agent] = agent;
  job_->agents[start.agent.name] = {start.agent, this->host()};
  world_->workers.push_back(agent);
  if (world_->hosts[host].is_up) return agent->Start();
  world_->time.After(500, [agent] { agent->End("its machine does not answer"); });
}

void Service::Do(const effect::EndAgent& end) {
  const auto agent = agents_.extract(end.agent);
  if (!agent.empty()) agent.mapped()->End("killed");
}

// --- gangs ---

storage::WriterFence Service::WriterOf(NodeId id, uint64_t launch) const {
  return {ClaimOf(id), launch};
}

// As CheckpointStore::Fence, which reads the fence and then writes its own.
void Service::Do(const effect::PrepareLaunch& prepare) {
  Post([this, prepare, is_checked = false]() mutable -> std::optional<coordinator::Event> {
    const storage::WriterFence writer = WriterOf(prepare.stage, prepare.launch);
    const std::string fingerprint = Fingerprint(prepare.stage);
    const auto answer = [&](const absl::Status& status) {
      return event::LaunchPrepared{prepare.stage, prepare.launch, status};
    };
    if (is_checked) {
      const bool falls = world_->bug == PlantedBug::kFenceOverwritten;
      if (falls) world_->disk.stages[fingerprint].fence = writer;
      return answer(world_->disk.WriteFence(fingerprint, writer));
    }
    absl::Status status = Trouble();
    if (status.ok()) status = Claim(prepare.stage).Check();
    if (status.ok()) status = world_->disk.CheckFence(fingerprint, writer);
    if (!status.ok() || world_->bug == PlantedBug::kLaunchNotFenced) return answer(status);
    is_checked = true;
    return std::nullopt;
  });
}

void Service::Do(const effect::AdoptGang& adopt) {
  const Job::LaunchRecord& record = job_->launches.at(Label(adopt.stage));
  for (const auto& gang : world_->gangs) {
    if (!IsHere(*gang) || gang->fingerprint() != record.fingerprint) continue;
    if (gang->writer() != record.writer) continue;
    if (gang->exit()) break;
    gangs_[adopt.stage] = {adopt.launch, gang, false};
    return Happen(event::Adopted{adopt.stage, adopt.launch, absl::OkStatus()});
  }
  Happen(event::Adopted{adopt.stage, adopt.launch, NotFound("it has ended")});
}

void Service::EndEarlierGangs() {
  earlier_.clear();
  for (const auto& gang : world_->gangs) {
    const bool is_present = std::any_of(gangs_.begin(), gangs_.end(),
                                        [&](const auto& one) { return one.second.gang == gang; });
    if (IsHere(*gang) && !is_present && !gang->exit()) gang->KillLauncher();
  }
}

std::vector<size_t> Service::HostsWithout(const std::vector<std::string>& excluded) const {
  std::vector<size_t> hosts = job_->Hosts();
  std::erase_if(hosts, [&](size_t host) {
    return std::find(excluded.begin(), excluded.end(), world_->hosts[host].name) != excluded.end();
  });
  return hosts.empty() ? job_->Hosts() : hosts;
}

void Service::Do(const effect::Launch& launch) {
  EndEarlierGangs();
  Launched& launched = gangs_[launch.stage];
  launched = {launch.launch, nullptr, false};
  const absl::Status trouble = Trouble();
  if (trouble.ok()) {
    const storage::WriterFence writer = WriterOf(launch.stage, launch.launch);
    launched.gang =
        std::make_shared<Gang>(job_, Fingerprint(launch.stage),
                               coordinator::RankPrefix(Label(launch.stage)), writer, host());
    world_->gangs.push_back(launched.gang);
    launched.gang->Launch(launch.ranks, HostsWithout(launch.excluded_hosts), incarnation_);
    job_->launches[Label(launch.stage)] = {Fingerprint(launch.stage), writer, launch.ranks};
  }
  Happen(event::Launched{launch.stage, launch.launch, trouble});
}

void Service::Do(const effect::KillGang& kill) {
  const auto launched = gangs_.find(kill.stage);
  if (launched != gangs_.end() && launched->second.gang) launched->second.gang->KillLauncher();
}

void Service::Do(const effect::CheckRoom& check) {
  Happen(event::RoomChecked{check.stage, world_->disk.Room()});
}

void Service::Do(const effect::EndRanks& end) {
  const auto taken = gangs_.extract(end.stage);
  const std::shared_ptr<Gang> gang = taken.empty() ? nullptr : taken.mapped().gang;
  if (gang) gang->KillRanks();
  const int64_t began_ms = world_->time.now_ms();
  Post(
      [this, end, gang]() -> coordinator::Event {
        coordinator::GangRemains remains;
        remains.newest_step = world_->disk.stages[Fingerprint(end.stage)].newest_step;
        remains.room = world_->disk.Room();
        if (gang && gang->exit()) remains.exit = *gang->exit();
        if (gang && end.may_go_on) FindLostHosts(*gang, &remains);
        return event::RanksEnded{end.stage, end.launch, remains};
      },
      [this, gang, began_ms] {
        return !gang || !gang->any_alive() || world_->time.now_ms() - began_ms >= kRankEndMsMax;
      });
}

void Service::FindLostHosts(const Gang& gang, coordinator::GangRemains* remains) const {
  const std::set<size_t> hosts = gang.Hosts();
  if (remains->exit.ok() || hosts.size() < 2) return;
  for (const size_t host : hosts) {
    remains->hosts.push_back(world_->hosts[host].name);
    if (!world_->hosts[host].is_up) remains->lost_hosts.push_back(world_->hosts[host].name);
  }
}

}  // namespace halcyon::simulation
