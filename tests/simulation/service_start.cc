// How the simulated coordinator becomes its job's, stays it, and leaves:
// coordinator/processes/recovery.h, run_job.h and lease_keeper.h.
#include <algorithm>
#include <utility>

#include "coordinator/run/gang_stage.h"
#include "tests/simulation/service.h"
#include "tests/simulation/world.h"

namespace halcyon::simulation {
namespace {

// Of coordinator/processes/recovery.cc.
constexpr int64_t kOwnPollMs = 100;
// launch.stop_margin_s.
constexpr int64_t kStopMarginMs = 8000;

}  // namespace

Service::Service(Job* job, size_t host)
    : Process(&job->world().time, host),
      job_(job),
      world_(&job->world()),
      began_ms_(world_->time.now_ms()),
      stop_schedule_(/*grace_ms=*/0, kStopMarginMs, /*save_ms=*/0) {}

std::shared_ptr<Service> Service::Self() {
  return std::static_pointer_cast<Service>(shared_from_this());
}

void Service::Start() {
  self_ = world_->Register(shared_from_this(), "job " + job_->name());
  world_->Note(job_->prefix() + "coordinator " + self_.ToString() + " begins");
  owner_.emplace(world_, "owner/" + job_->name(), self_);
  SeekJob();
}

// As OwnJob.
void Service::SeekJob() {
  if (!owner_->Look(/*above=*/0)) return Later(kOwnPollMs, [this] { SeekJob(); });
  if (!owner_->holder().who.empty()) owner_before_ = owner_->holder();
  Later(GapMs(), [this] {
    if (!owner_->Make()) return Later(kOwnPollMs, [this] { SeekJob(); });
    Begin();
  });
}

void Service::Begin() {
  incarnation_ = owner_->number();
  world_->Note(job_->prefix() + self_.ToString() + " is coordinator " +
               std::to_string(incarnation_));
  world_->checker.OnRun(*this);
  until_ = job_->ChooseUntil();
  if (until_)
    world_->Note(job_->prefix() + "it runs until " + std::string(jobs::StageName(*until_)));
  earlier_ = EarlierGangs();
  const std::vector<coordinator::EarlierAgent> agents = TakeEarlierAgents();
  EndOldWorkers();
  coordinator::RunLimits limits = job_->scenario.limits;
  limits.until = until_;
  run_.emplace(job_->graph, limits,
               coordinator::EarlierWorkers{earlier_, agents, incarnation_ << 32});
  turned_ms_ = heartbeat_ms_ = world_->time.now_ms();
  Later(storage::kLeaseBeatMs, [this] { RenewLeases(); });
  Execute(run_->Start());
  LookAround();
}

// The launches on record that run here.
coordinator::EarlierLaunches Service::EarlierGangs() const {
  coordinator::EarlierLaunches found;
  if (world_->scenario.orphan_grace_ms == 0) return found;
  const auto made = world_->NodesUntil(*job_, until_);
  for (const auto& [label, record] : job_->launches) {
    if (!made.contains(label)) continue;
    for (const auto& gang : world_->gangs) {
      const bool is_that = IsHere(*gang) && gang->writer() == record.writer && !gang->exit() &&
                           gang->rank_prefix() == coordinator::RankPrefix(label);
      if (is_that) found[label] = record.writer.launch;
    }
  }
  return found;
}

// The agents on record that run, as far as this machine can tell.
std::vector<coordinator::EarlierAgent> Service::TakeEarlierAgents() {
  std::vector<coordinator::EarlierAgent> found;
  if (world_->scenario.orphan_grace_ms == 0) return found;
  for (const auto& worker : world_->workers) {
    if (&worker->job() != job_ || !worker->alive()) continue;
    const auto record = job_->agents.find(worker->id().name);
    if (record == job_->agents.end() || record->second.id != worker->id()) continue;
    if (record->second.launcher_host != host()) continue;
    agents_[worker->id()] = std::static_pointer_cast<Agent>(worker);
    found.push_back({.id = worker->id()});
  }
  return found;
}

bool Service::IsHere(const Gang& gang) const {
  return &gang.job() == job_ && gang.launcher_host() == host();
}

bool Service::MayAdopt(const Gang& gang) const {
  return std::any_of(earlier_.begin(), earlier_.end(), [&](const auto& earlier) {
    const auto record = job_->launches.find(earlier.first);
    return gang.rank_prefix() == coordinator::RankPrefix(earlier.first) &&
           record != job_->launches.end() && record->second.writer == gang.writer();
  });
}

bool Service::MayAdopt(const WorkerId& agent) const { return agents_.contains(agent); }

// Those of this machine. The real coordinator waits until none is left. What the fences are for is
// that one is left all the same, so that here some are.
void Service::EndOldWorkers() {
  for (const auto& worker : std::vector(world_->workers)) {
    if (&worker->job() != job_ || worker->host() != host()) continue;
    const bool is_spared = worker->is_rank() ? !earlier_.empty() : MayAdopt(worker->id());
    if (worker->incarnation() < incarnation_ && !is_spared && !world_->Lingers()) {
      worker->End("a later coordinator ends it");
    }
  }
}

// As LeaseKeeper.
void Service::RenewLeases() {
  const auto renew = [](Lease& lease, absl::Status* lost) {
    const absl::Status renewed = lease.Renew();
    if (absl::IsAborted(renewed) && lost->ok()) *lost = renewed;
  };
  renew(*owner_, &job_lost_);
  for (auto& [stage, claim] : claims_) {
    if (claim.is_held()) renew(claim, &stage_lost_);
  }
  Later(storage::kLeaseBeatMs, [this] { RenewLeases(); });
}

void Service::LeaveJob() {
  Die();
  for (auto& [stage, claim] : claims_) claim.GiveUp();
  if (!has_left_) {
    EndEarlierGangs();
    for (const auto& [id, agent] : agents_) agent->End("its coordinator has ended");
  }
  owner_->GiveUp();
  job_->Ended(this, *run_->end(), has_left_);
}

}  // namespace halcyon::simulation
