#include "tests/simulation/gang.h"

#include <algorithm>

#include "cluster/outputs.h"
#include "cluster/work_progress.h"
#include "tests/simulation/world.h"

namespace halcyon::simulation {
namespace {

constexpr int64_t kWelcomeMsMax = 60'000;

}  // namespace

// --- a rank ---

void Rank::Start() {
  Later(world().random.Between(5, 2000), [this] {
    if (world().Fails(world().scenario.spawn_error)) return End("fails before its Hello");
    Send(cluster::Hello{"rank", "", number_, 1, 0, ""});
    BeginHeartbeats();
    Later(kWelcomeMsMax, [this] {
      if (!is_welcome_) Finish(Unavailable("the coordinator did not answer Hello"));
    });
  });
}

bool Rank::MayBeAdoptedBy(const Service& service) const {
  const auto gang = gang_.lock();
  return gang != nullptr && service.MayAdopt(*gang);
}

void Rank::OnMessage(const cluster::Body& body) {
  const auto gang = gang_.lock();
  if (gang == nullptr) return;
  if (std::holds_alternative<cluster::Stop>(body)) gang->AskToStop();
  if (const auto* welcome = std::get_if<cluster::Welcome>(&body)) {
    is_welcome_ = true;
    gang->Welcomed(welcome->assignment);
  }
}

void Rank::OnStep(uint64_t step) {
  steps_done_ = step;
  Advance();
}

// In each step there is one collective, at its end.
cluster::Activity Rank::Doing() const {
  const auto gang = gang_.lock();
  const bool waits = !is_hung() && gang != nullptr && gang->any_hung();
  cluster::Activity activity;
  activity.phase = NameOf(waits ? cluster::WorkPhase::kCollective : cluster::WorkPhase::kForward);
  activity.step = static_cast<int64_t>(steps_done_);
  activity.collectives = steps_done_ + (waits ? 1 : 0);
  activity.collective = waits ? activity.collectives : 0;
  return activity;
}

void Rank::Progress(uint64_t step, uint64_t steps) {
  Send(cluster::TrainProgress{"", step, steps, nlohmann::json::object()});
}

void Rank::Finish(const absl::Status& how) {
  if (!alive()) return;
  nlohmann::json result;
  if (how.ok() && number_ == 0) {
    result = {{"content_digest", "d"}, {"bytes", 1}, {"facts", nlohmann::json::object()}};
  }
  Send(cluster::RankEnded{"", number_, static_cast<int>(how.code()), MessageOf(how), result});
  Later(world().random.Between(0, 300), [this] { End("done"); });
}

void Rank::OnEnd() {
  if (const auto gang = gang_.lock()) gang->RankEnded();
}

// --- the gang ---

Gang::Gang(Job* job, std::string fingerprint, std::string rank_prefix, storage::WriterFence writer,
           size_t launcher_host)
    : job_(job),
      world_(&job->world()),
      fingerprint_(std::move(fingerprint)),
      rank_prefix_(std::move(rank_prefix)),
      writer_(writer),
      launcher_host_(launcher_host) {}

std::string Gang::Name() const { return job_->prefix() + rank_prefix_ + ", " + writer_.ToString(); }

void Gang::Launch(int64_t ranks, const std::vector<size_t>& hosts, uint64_t incarnation) {
  bool is_reached = true;
  for (int64_t i = 0; i < ranks; ++i) {
    const WorkerId id{rank_prefix_ + "-" + std::to_string(i), writer_.launch};
    const size_t host = hosts[static_cast<size_t>(i) % hosts.size()];
    ranks_.push_back(std::make_shared<Rank>(job_, id, incarnation, host, weak_from_this(),
                                            static_cast<uint32_t>(i)));
    world_->workers.push_back(ranks_.back());
    is_reached = is_reached && world_->hosts[host].is_up;
  }
  for (const auto& rank : ranks_) {
    if (is_reached) rank->Start();
  }
  if (is_reached) return;
  world_->time.After(world_->random.Between(500, 5000), [self = shared_from_this()] {
    self->EndLauncher("a machine does not answer", 0);
  });
}

std::set<size_t> Gang::Hosts() const {
  std::set<size_t> hosts;
  for (const auto& rank : ranks_) hosts.insert(rank->host());
  return hosts;
}

void Gang::LoseHost(size_t host) {
  for (const auto& rank : ranks_) {
    if (rank->host() == host) rank->Vanish();
  }
  if (launcher_host_ == host) return EndLauncher("its machine is lost", 6000);
  if (!Hosts().contains(host) || world_->random.Chance(0.5)) return;
  world_->time.After(world_->random.Between(100, 10'000), [self = shared_from_this()] {
    self->EndLauncher("it has lost a machine", 100);
  });
}

bool Gang::any_alive() const {
  return std::any_of(ranks_.begin(), ranks_.end(), [](const auto& rank) { return rank->alive(); });
}

bool Gang::all_alive() const {
  return std::all_of(ranks_.begin(), ranks_.end(), [](const auto& rank) { return rank->alive(); });
}

bool Gang::any_hung() const {
  return std::any_of(ranks_.begin(), ranks_.end(),
                     [](const auto& rank) { return rank->alive() && rank->is_hung(); });
}

bool Gang::MayCommit() const {
  return !is_finishing_ && all_alive() && world_->disk.stages[fingerprint_].fence <= writer_;
}

void Gang::Welcomed(const cluster::StageAssignment& assignment) {
  const bool all_welcome = std::all_of(ranks_.begin(), ranks_.end(), [](const auto& rank) {
    return rank->alive() && rank->is_welcome();
  });
  if (!all_welcome || is_training_) return;
  assignment_ = assignment;
  is_training_ = true;
  const absl::Status fenced = world_->disk.Fence(fingerprint_, writer_);
  if (!fenced.ok()) return Finish(fenced);
  step_ = world_->disk.stages[fingerprint_].newest_step;
  world_->Note(Name() + ": goes on from step " + std::to_string(step_));
  world_->time.After(1, [self = shared_from_this()] { self->Step(); });
}

void Gang::Step() {
  if (!all_alive() || is_finishing_ || any_hung()) return;
  int64_t paused_until_ms = 0;
  for (const auto& rank : ranks_) {
    paused_until_ms = std::max(paused_until_ms, rank->paused_until_ms());
  }
  const int64_t now_ms = world_->time.now_ms();
  const bool waits = paused_until_ms > now_ms;
  if (waits) {
    return world_->time.At(std::min(paused_until_ms, now_ms + 100),
                           [self = shared_from_this()] { self->Step(); });
  }
  const uint64_t steps = world_->scenario.steps;
  if (step_ < steps) ++step_;
  for (const auto& rank : ranks_) rank->OnStep(step_);
  ranks_[0]->Progress(step_, steps);
  int64_t delay_ms = world_->random.Between(1, world_->scenario.step_ms_max);
  if (step_ % world_->scenario.checkpoint_every != 0 && step_ < steps && !is_stopping_) {
    return world_->time.After(delay_ms, [self = shared_from_this()] { self->Step(); });
  }
  if (world_->fsync_stuck_until_ms > now_ms) delay_ms += world_->fsync_stuck_until_ms - now_ms;
  world_->time.After(delay_ms, [self = shared_from_this()] { self->Checkpoint(); });
}

void Gang::Checkpoint() {
  if (!all_alive() || is_finishing_) return;
  absl::Status status = world_->disk.CheckFence(fingerprint_, writer_);
  if (status.ok()) status = world_->disk.Room();
  if (!status.ok()) return Finish(status);
  world_->checker.OnCheckpoint(fingerprint_, writer_, step_);
  world_->disk.stages[fingerprint_].newest_step = step_;
  world_->Note(Name() + ": commits step " + std::to_string(step_));
  if (step_ == world_->scenario.steps) {
    world_->disk.outputs.insert(cluster::GangOutputDir(assignment_));
    return Finish(absl::OkStatus());
  }
  if (is_stopping_) return Finish(Aborted("stopped after step " + std::to_string(step_)));
  Step();
}

void Gang::Finish(const absl::Status& how) {
  if (is_finishing_) return;
  is_finishing_ = true;
  how_ = how;
  world_->Note(Name() + ": ends, " + how.ToString());
  for (const auto& rank : ranks_) rank->Finish(how);
}

void Gang::RankEnded() {
  if (exit_) return;
  // mpirun ends the others of a rank that fails.
  world_->time.After(world_->random.Between(0, 500), [self = shared_from_this()] {
    if (self->exit_) return;
    if (self->is_finishing_) {
      if (!self->any_alive()) self->exit_ = self->how_.ok() ? absl::OkStatus() : self->how_;
      return;
    }
    self->exit_ = Unavailable("the launcher ended: a rank failed");
    for (const auto& rank : self->ranks_) rank->End("mpirun ends it");
  });
}

void Gang::KillLauncher() {
  if (exit_) return;
  world_->Note(Name() + ": the launcher is killed");
  EndLauncher("it was killed", 100);
}

void Gang::EndLauncher(const std::string& why, int64_t ranks_after_ms) {
  if (exit_) return;
  world_->Note(Name() + ": the launcher ends: " + why);
  exit_ = Unavailable("the launcher ended: " + why);
  lingers_ = world_->Lingers();
  const auto kill = [self = shared_from_this()] {
    for (const auto& rank : self->ranks_) rank->End("its launcher has ended");
  };
  world_->time.After(lingers_ ? world_->random.Between(1000, 40'000) : ranks_after_ms, kill);
}

void Gang::KillRanks() {
  if (lingers_ && world_->random.Chance(0.7)) return;
  for (const auto& rank : ranks_) rank->End("killed");
}

}  // namespace halcyon::simulation
