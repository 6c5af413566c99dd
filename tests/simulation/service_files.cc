// What the simulated service does to files: coordinator/job_files.h and stage_claim.h.
#include <algorithm>
#include <utility>

#include "cluster/outputs.h"
#include "tests/simulation/service.h"
#include "tests/simulation/world.h"

namespace halcyon::simulation {

namespace event = coordinator::event;
namespace effect = coordinator::effect;
using jobs::NodeId;

namespace {

// How much later than Installed says kInstalledTooEarly installs.
constexpr int64_t kTooEarlyMs = 2000;

}  // namespace

absl::Status Service::Trouble() const {
  RETURN_IF_ERROR(world_->disk.Room());
  if (!world_->Fails(world_->scenario.answer_error)) return absl::OkStatus();
  return world_->random.Chance(0.2) ? ResourceExhausted("simulated") : Unavailable("simulated");
}

std::string Service::Fingerprint(NodeId id) const {
  return FingerprintOf(world_->scenario, job_->graph.node(id));
}

const std::string& Service::Label(NodeId id) const { return job_->graph.node(id).label; }

void Service::Do(const effect::CheckJob&) {
  Post([this] { return event::JobChecked{Trouble()}; });
}

// --- the search and the claim ---

Lease& Service::Claim(NodeId id) {
  const auto found = claims_.find(id);
  if (found != claims_.end()) return found->second;
  Lease& claim =
      claims_.emplace(id, Lease(world_, "claim/" + Fingerprint(id), self_)).first->second;
  if (owner_before_) claim.AssumeDead(*owner_before_);
  return claim;
}

uint64_t Service::ClaimOf(NodeId id) const {
  const auto claim = claims_.find(id);
  return claim == claims_.end() ? 0 : claim->second.number();
}

void Service::Do(const effect::FindStage& find) {
  if (!find.is_claimed) {
    return Post([this, id = find.stage]() -> std::optional<coordinator::Event> {
      if (const absl::Status trouble = Trouble(); !trouble.ok()) {
        return event::StageFound{id, trouble};
      }
      coordinator::FoundStage found{.fingerprint = Fingerprint(id)};
      found.is_made = world_->disk.artifacts.contains(found.fingerprint);
      return event::StageFound{id, found};
    });
  }
  Post([this, id = find.stage, step = 0]() mutable -> std::optional<coordinator::Event> {
    if (step == 0) {
      if (const absl::Status trouble = Trouble(); !trouble.ok()) {
        return event::StageFound{id, trouble};
      }
    }
    const std::optional<coordinator::FoundStage> found = FindStep(id, step++);
    if (!found) return std::nullopt;
    return event::StageFound{id, *found};
  });
}

std::optional<coordinator::FoundStage> Service::FindStep(NodeId id, int step) {
  coordinator::FoundStage found{.fingerprint = Fingerprint(id)};
  found.is_made = world_->disk.artifacts.contains(found.fingerprint);
  if (found.is_made) {
    if (step == 2) Release(id);
    return found;
  }
  const bool is_again = claims_.contains(id);
  Lease& claim = Claim(id);
  bool goes_on = claim.is_held();
  if (step == 0) {
    const bool looks = !is_again || world_->bug != PlantedBug::kWaiterNeverLooksAgain;
    goes_on = goes_on || (looks && claim.Look(world_->disk.stages[found.fingerprint].fence.claim));
  } else if (step == 1) {
    goes_on = goes_on || claim.Make();
  }
  if (!goes_on) {
    found.busy_with = claim.holder().ToString();
    return found;
  }
  if (step < 2) return std::nullopt;
  found.claim = claim.number();
  found.why = "new";
  return found;
}

void Service::Do(const effect::ReleaseStage& release) {
  Post([this, id = release.stage] {
    Release(id);
    return event::Tick{};
  });
}

void Service::Release(NodeId id) {
  const auto claim = claims_.extract(id);
  if (!claim.empty()) claim.mapped().GiveUp();
}

// --- its work ---

void Service::Do(const effect::PrepareStage& prepare) {
  Post([this, prepare, is_open = false]() mutable -> std::optional<coordinator::Event> {
    const NodeId id = prepare.stage;
    absl::Status status = is_open ? Claim(id).Check() : Trouble();
    if (status.ok() && !is_open) status = OpenCache(id);
    if (!status.ok()) return event::StagePrepared{id, status};
    if (!std::exchange(is_open, true)) return std::nullopt;
    RemoveLeftovers(id, prepare.leases);
    prepared_[id] = Prepared(id);
    return event::StagePrepared{id, prepared_[id]};
  });
}

// Its log begins with what the last one says.
absl::Status Service::OpenCache(NodeId id) {
  Disk::Stage& stage = world_->disk.stages[Fingerprint(id)];
  const uint64_t claim = ClaimOf(id);
  if (!stage.ingest_logs.empty() && stage.ingest_logs.rbegin()->first > claim) {
    return Aborted("claim " + std::to_string(claim) + " of this cache has ended");
  }
  stage.ingest_logs[claim] = stage.shards();
  return absl::OkStatus();
}

void Service::RemoveLeftovers(NodeId id, const std::vector<Fence>& leases) {
  Disk::Stage& stage = world_->disk.stages[Fingerprint(id)];
  const Disk::Stage::Shards& held = stage.ingest_logs.at(ClaimOf(id));
  std::erase_if(stage.shard_files, [&](const Disk::Stage::ShardFile& file) {
    const auto shard = held.find(file.first);
    const bool is_held = shard != held.end() && shard->second == file.second;
    const bool is_served = world_->bug != PlantedBug::kAdoptedFilesRemoved &&
                           std::ranges::find(leases, Fence(file.second)) != leases.end();
    if (!is_held && !is_served) stage.removed_files[file] = ClaimOf(id);
    return !is_held && !is_served;
  });
}

coordinator::PreparedStage Service::Prepared(NodeId id) const {
  coordinator::PreparedStage prepared;
  const std::string fingerprint = Fingerprint(id);
  const Disk::Stage& stage = world_->disk.stages[fingerprint];
  const jobs::StageKind kind = job_->graph.node(id).kind;
  prepared.assignment.stage = jobs::StageName(kind);
  prepared.assignment.fingerprint = fingerprint;
  prepared.assignment.work_dir = "/w/" + fingerprint;
  prepared.assignment.claim = ClaimOf(id);
  prepared.newest_step = stage.newest_step;
  const auto record = job_->launches.find(Label(id));
  if (earlier_.contains(Label(id)) && record->second.fingerprint == fingerprint &&
      record->second.writer == stage.fence) {
    prepared.earlier_gang = {record->second.writer.claim, record->second.writer.launch,
                             record->second.ranks};
  }
  if (jobs::ShapeOf(kind) == jobs::StageShape::kSingleTask) {
    prepared.tasks.Add(Label(id), {{"shard", 0}});
  } else if (jobs::ShapeOf(kind) == jobs::StageShape::kShardTasks) {
    const Disk::Stage::Shards& held = stage.ingest_logs.at(ClaimOf(id));
    prepared.tasks_done = held.size();
    for (uint32_t shard = 0; shard < world_->scenario.shards; ++shard) {
      if (held.contains(shard)) continue;
      prepared.tasks.Add(Label(id) + "/" + std::to_string(shard), {{"shard", shard}});
    }
  }
  return prepared;
}

void Service::Do(const effect::Ingest& ingest) {
  Post([this, ingest, is_checked = false]() mutable -> std::optional<coordinator::Event> {
    const absl::Status status = is_checked ? TakeIn(ingest) : CheckResult(ingest);
    if (status.ok() && !std::exchange(is_checked, true)) return std::nullopt;
    return event::Ingested{ingest.stage, ingest.fence, status};
  });
}

uint32_t Service::ShardOf(const effect::Ingest& ingest) const {
  return prepared_.at(ingest.stage).tasks.parameters(ingest.task).at("shard").get<uint32_t>();
}

absl::Status Service::CheckResult(const effect::Ingest& ingest) {
  RETURN_IF_ERROR(Trouble());
  RETURN_IF_ERROR(CheckFile(ingest.stage, ShardOf(ingest), ingest.fence));
  return Claim(ingest.stage).Check();
}

absl::Status Service::CheckFile(NodeId id, uint32_t shard, Fence lease) const {
  const Disk::Stage& stage = world_->disk.stages[Fingerprint(id)];
  if (stage.shard_files.contains({shard, lease.value()})) return absl::OkStatus();
  world_->checker.OnResultMissing(*this, id, shard, lease);
  return NotFound("the file of shard " + std::to_string(shard));
}

absl::Status Service::TakeIn(const effect::Ingest& ingest) {
  // The outcome of a single task is in memory until it is installed.
  const jobs::StageKind kind = job_->graph.node(ingest.stage).kind;
  if (jobs::ShapeOf(kind) == jobs::StageShape::kSingleTask) return absl::OkStatus();
  Disk::Stage& stage = world_->disk.stages[Fingerprint(ingest.stage)];
  stage.ingest_logs.at(ClaimOf(ingest.stage)).emplace(ShardOf(ingest), ingest.fence.value());
  // It may fail after it had effect: the next ingest finds the shard there.
  return Trouble();
}

void Service::Do(const effect::Install& install) {
  if (world_->bug == PlantedBug::kInstalledTooEarly) {
    Later(kTooEarlyMs, [this, install] { InstallStage(install, world_->time.now_ms()); });
    return Post([install] { return event::Installed{install.stage, std::string()}; });
  }
  Post([this, install, looked_ms = int64_t{-1}]() mutable -> std::optional<coordinator::Event> {
    if (looked_ms >= 0) {
      InstallStage(install, looked_ms);
      return event::Installed{install.stage, std::string()};
    }
    looked_ms = world_->time.now_ms();
    const absl::Status status = CheckInstall(install.stage);
    if (!status.ok()) return event::Installed{install.stage, status};
    return std::nullopt;
  });
}

absl::Status Service::CheckInstall(NodeId id) {
  RETURN_IF_ERROR(Trouble());
  if (jobs::ShapeOf(job_->graph.node(id).kind) == jobs::StageShape::kShardTasks) {
    const auto& held = world_->disk.stages[Fingerprint(id)].ingest_logs.at(ClaimOf(id));
    if (held.size() != world_->scenario.shards) {
      world_->checker.Violated(Fingerprint(id) + " is installed without all of its shards");
    }
    for (const auto& [shard, fence] : held) RETURN_IF_ERROR(CheckFile(id, shard, Fence(fence)));
  }
  return Claim(id).Check();
}

// `looked_ms`: when the claim was seen to be this job's. The rename does nothing where the artifact
// is.
void Service::InstallStage(const effect::Install& install, int64_t looked_ms) {
  const std::string fingerprint = Fingerprint(install.stage);
  if (!world_->disk.artifacts.contains(fingerprint)) {
    world_->checker.OnInstall(*this, install, looked_ms);
    world_->disk.artifacts.insert(fingerprint);
  }
  Release(install.stage);
}

}  // namespace halcyon::simulation
