// What the simulated service does for each kind of effect.
#include <algorithm>
#include <utility>

#include "cluster/outputs.h"
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
// How much later than Installed says kInstalledTooEarly installs.
constexpr int64_t kTooEarlyMs = 2000;

}  // namespace

absl::Status Service::Trouble() const {
  RETURN_IF_ERROR(world_->disk.Room());
  if (!world_->Fails(world_->scenario.answer_error)) return absl::OkStatus();
  return world_->random.Chance(0.2) ? ResourceExhausted("simulated") : Unavailable("simulated");
}

std::string Service::Fingerprint(NodeId id) const {
  return FingerprintOf(world_->scenario, world_->graph.node(id));
}

const std::string& Service::Label(NodeId id) const { return world_->graph.node(id).label; }

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
  const auto agent = std::make_shared<Agent>(world_, start.agent, incarnation_);
  agents_[start.agent] = agent;
  world_->disk.agents[start.agent.name] = start.agent;
  world_->workers.push_back(agent);
  agent->Start();
}

void Service::Do(const effect::EndAgent& end) {
  const auto agent = agents_.extract(end.agent);
  if (!agent.empty()) agent.mapped()->End("killed");
}

// --- files ---

void Service::Do(const effect::CheckJob&) {
  Post([this] { return event::JobChecked{Trouble()}; });
}

void Service::Do(const effect::FindStage& find) {
  Post([this, id = find.stage]() -> coordinator::Event {
    const absl::Status trouble = Trouble();
    if (!trouble.ok()) return event::StageFound{id, trouble};
    const std::string fingerprint = Fingerprint(id);
    coordinator::FoundStage found{.fingerprint = fingerprint};
    found.is_made = world_->disk.artifacts.contains(fingerprint);
    if (!found.is_made) {
      uint64_t& claim = world_->disk.stages[fingerprint].claim;
      if (claim == 0 || world_->bug != PlantedBug::kClaimNotRaised) ++claim;
      claims_[id] = found.claim = claim;
      found.why = "new";
    }
    return event::StageFound{id, found};
  });
}

void Service::Do(const effect::PrepareStage& prepare) {
  Post([this, id = prepare.stage, leases = prepare.leases]() -> coordinator::Event {
    const absl::Status trouble = Trouble();
    if (!trouble.ok()) return event::StagePrepared{id, trouble};
    std::erase_if(world_->disk.stages[Fingerprint(id)].shard_files, [&](const auto& file) {
      return world_->bug == PlantedBug::kAdoptedFilesRemoved ||
             std::ranges::find(leases, Fence(file.second)) == leases.end();
    });
    prepared_[id] = Prepared(id);
    return event::StagePrepared{id, prepared_[id]};
  });
}

coordinator::PreparedStage Service::Prepared(NodeId id) const {
  coordinator::PreparedStage prepared;
  const std::string fingerprint = Fingerprint(id);
  Disk::Stage& stage = world_->disk.stages[fingerprint];
  const jobs::StageKind kind = world_->graph.node(id).kind;
  prepared.assignment.stage = jobs::StageName(kind);
  prepared.assignment.fingerprint = fingerprint;
  prepared.assignment.work_dir = "/w/" + fingerprint;
  prepared.assignment.claim = claims_.at(id);
  prepared.newest_step = stage.newest_step;
  const auto record = world_->disk.launches.find(Label(id));
  if (earlier_.contains(Label(id)) && record->second.fingerprint == fingerprint &&
      record->second.writer == stage.fence) {
    prepared.earlier_gang = {record->second.writer.claim, record->second.writer.launch,
                             record->second.ranks};
  }
  if (jobs::ShapeOf(kind) == jobs::StageShape::kSingleTask) {
    prepared.tasks.Add(Label(id), {{"shard", 0}});
  } else if (jobs::ShapeOf(kind) == jobs::StageShape::kShardTasks) {
    prepared.tasks_done = stage.shards.size();
    for (uint32_t shard = 0; shard < world_->scenario.shards; ++shard) {
      if (stage.shards.contains(shard)) continue;
      prepared.tasks.Add(Label(id) + "/" + std::to_string(shard), {{"shard", shard}});
    }
  }
  return prepared;
}

void Service::Do(const effect::Ingest& ingest) {
  Post([this, ingest] { return event::Ingested{ingest.stage, ingest.fence, IngestTask(ingest)}; });
}

absl::Status Service::IngestTask(const effect::Ingest& ingest) {
  RETURN_IF_ERROR(Trouble());
  const coordinator::StageTasks& tasks = prepared_.at(ingest.stage).tasks;
  const auto shard = tasks.parameters(ingest.task).at("shard").get<uint32_t>();
  const std::string fingerprint = Fingerprint(ingest.stage);
  world_->checker.OnIngest(std::string(tasks.name(ingest.task)), fingerprint, shard,
                           ingest.fence.value());
  // The outcome of a single task is in memory until it is installed.
  const jobs::StageKind kind = world_->graph.node(ingest.stage).kind;
  if (jobs::ShapeOf(kind) == jobs::StageShape::kSingleTask) return absl::OkStatus();
  world_->disk.stages[fingerprint].shards.emplace(shard, ingest.fence.value());
  // It may fail after it had effect: the next ingest finds the shard there.
  return Trouble();
}

void Service::Do(const effect::Install& install) {
  if (world_->bug == PlantedBug::kInstalledTooEarly) {
    Later(kTooEarlyMs, [this, install] { InstallStage(install).IgnoreError(); });
    return Post([install] { return event::Installed{install.stage, std::string()}; });
  }
  Post([this, install]() -> coordinator::Event {
    const absl::Status status = InstallStage(install);
    if (!status.ok()) return event::Installed{install.stage, status};
    return event::Installed{install.stage, std::string()};
  });
}

absl::Status Service::InstallStage(const effect::Install& install) {
  RETURN_IF_ERROR(Trouble());
  const std::string fingerprint = Fingerprint(install.stage);
  const jobs::StageKind kind = world_->graph.node(install.stage).kind;
  if (jobs::ShapeOf(kind) == jobs::StageShape::kShardTasks &&
      world_->disk.stages[fingerprint].shards.size() != world_->scenario.shards) {
    world_->checker.Violated(fingerprint + " is installed without all of its shards");
  }
  world_->checker.OnInstall(fingerprint, install.outcome.made_dir);
  world_->disk.artifacts.insert(fingerprint);
  return absl::OkStatus();
}

// --- gangs ---

void Service::Do(const effect::PrepareLaunch& prepare) {
  Post([this, prepare]() -> coordinator::Event {
    const storage::WriterFence writer{claims_.at(prepare.stage), prepare.launch};
    absl::Status status = Trouble();
    if (status.ok() && world_->bug != PlantedBug::kLaunchNotFenced) {
      status = world_->disk.Fence(Fingerprint(prepare.stage), writer);
    }
    return event::LaunchPrepared{prepare.stage, prepare.launch, status};
  });
}

void Service::Do(const effect::AdoptGang& adopt) {
  const Disk::LaunchRecord& record = world_->disk.launches.at(Label(adopt.stage));
  for (const auto& gang : world_->gangs) {
    if (gang->fingerprint() != record.fingerprint || gang->writer() != record.writer) continue;
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
    if (!is_present && !gang->exit()) gang->KillLauncher();
  }
}

void Service::Do(const effect::Launch& launch) {
  EndEarlierGangs();
  Launched& launched = gangs_[launch.stage];
  launched = {launch.launch, nullptr, false};
  const absl::Status trouble = Trouble();
  if (trouble.ok()) {
    const storage::WriterFence writer{claims_.at(launch.stage), launch.launch};
    launched.gang = std::make_shared<Gang>(world_, Fingerprint(launch.stage),
                                           coordinator::RankPrefix(Label(launch.stage)), writer);
    world_->gangs.push_back(launched.gang);
    launched.gang->Launch(launch.ranks);
    world_->disk.launches[Label(launch.stage)] = {Fingerprint(launch.stage), writer, launch.ranks};
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
        return event::RanksEnded{end.stage, end.launch, remains};
      },
      [this, gang, began_ms] {
        return !gang || !gang->any_alive() || world_->time.now_ms() - began_ms >= kRankEndMsMax;
      });
}

}  // namespace halcyon::simulation
