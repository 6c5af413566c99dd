#include "tests/simulation/service.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "cluster/coordinator_link.h"
#include "cluster/pause_detector.h"
#include "coordinator/run/gang_stage.h"
#include "tests/simulation/world.h"

namespace halcyon::simulation {

namespace event = coordinator::event;
namespace effect = coordinator::effect;

namespace {

constexpr int64_t kTickMs = 50;
// How often a process is stopped for so long between the two steps of something that is not atomic.
constexpr double kGapPauseShare = 0.01;
constexpr int64_t kGapPauseMsMax = 60'000;

}  // namespace

// --- events ---

void Service::Deliver(const cluster::Message& message) {
  if (is_paused() || !unread_.empty()) {
    unread_.push_back(message);
    return;
  }
  const bool is_heartbeat = std::holds_alternative<cluster::Alive>(message.body);
  if (forgotten_.contains(message.worker)) {
    cluster::Message stop;
    stop.body = cluster::Stop{"it does not belong to the job any more", /*end_now=*/true};
    if (is_heartbeat) job_->ToWorker(message.worker, incarnation_, stop);
    if (world_->bug == PlantedBug::kOldLeaseAccepted) AcceptOldLease(message);
    return;
  }
  detector_.OnMessage(message.worker, world_->time.now_ms());
  const bool is_new = streams_[message.worker].Accept(message, world_->time.now_ms());
  SendDue(message.worker);
  if (const auto* alive = std::get_if<cluster::Alive>(&message.body)) {
    activities_[message.worker] = alive->activity;
    return;
  }
  SendTo(message.worker, {});  // acknowledges
  if (!is_new) return;
  Happen(event::Received{message});
}

void Service::Happen(coordinator::Event event) {
  if (IsDropped(event)) return;
  events_.push_back(std::move(event));
  Pump();
}

void Service::Pump() {
  if (is_pumping_ || is_paused()) return;
  is_pumping_ = true;
  while (!events_.empty() && !run_->end()) {
    const coordinator::Event event = std::move(events_.front());
    events_.pop_front();
    world_->NoteEvent(*job_, event);
    world_->checker.OnEvent(*this, event);
    Execute(run_->On(event, world_->time.now_ms()));
  }
  is_pumping_ = false;
  if (run_->end() && alive()) LeaveJob();
}

void Service::Execute(const coordinator::Effects& effects) {
  for (const coordinator::Effect& effect : effects) {
    if (IsDropped(effect)) continue;
    world_->NoteEffect(*job_, effect);
    world_->checker.OnEffect(*this, effect);
    std::visit([this](const auto& one) { Do(one); }, effect);
  }
}

// What does not announce itself.
void Service::LookAround() {
  const int64_t now_ms = world_->time.now_ms();
  // Before any event that a pause may have caused.
  if (now_ms - turned_ms_ >= cluster::kPauseMsMin) {
    detector_.RestartTimeouts(now_ms);
    events_.push_front(event::Paused{});
  }
  turned_ms_ = now_ms;
  for (const cluster::Message& message : std::exchange(unread_, {})) Deliver(message);
  if (now_ms - heartbeat_ms_ >= cluster::kHeartbeatIntervalMs) SendHeartbeats();
  if (now_ms - beats_ms_ >= cluster::kHeartbeatIntervalMs) {
    beats_ms_ = now_ms;
    events_.push_back(Beats());
  }
  const int stops = stop_schedule_.Requests(
      {stops_asked_, job_->allocation_end_ms(), now_ms, now_ms}, coordinator::JobStatus());
  if (stops != stops_told_) {
    stops_told_ = stops;
    events_.push_back(event::StopRequested{stops});
  }
  if (!job_lost_.ok() && !std::exchange(job_lost_told_, true)) {
    events_.push_back(event::LeaseLost{job_lost_, /*of_job=*/true});
  }
  if (!stage_lost_.ok() && !std::exchange(stage_lost_told_, true)) {
    events_.push_back(event::LeaseLost{stage_lost_});
  }
  for (auto it = agents_.begin(); it != agents_.end();) {
    const auto [id, agent] = *it;
    // What a lost machine took along is only missed, once the launcher has brought it up.
    const bool is_missed = agent->has_vanished() && agent->has_come_up();
    const bool has_ended = !agent->alive() && !is_missed;
    it = has_ended ? agents_.erase(it) : std::next(it);
    if (has_ended) events_.push_back(event::AgentEnded{id, Unavailable("ended"), {}});
  }
  for (auto& [stage, launched] : gangs_) {
    if (launched.gang == nullptr || launched.end_told || !launched.gang->exit()) continue;
    launched.end_told = true;
    events_.push_back(event::LauncherEnded{stage, launched.launch});
  }
  for (const WorkerId& worker : detector_.Suspects(now_ms)) {
    events_.push_back(event::Suspected{worker, "stopped sending", {}});
  }
  std::erase_if(events_, [this](const coordinator::Event& event) { return IsDropped(event); });
  Happen(event::Tick{});
  Later(kTickMs, [this] { LookAround(); });
}

event::Beats Service::Beats() const {
  event::Beats beats;
  for (const auto& [worker, activity] : activities_) {
    if (!streams_.contains(worker)) continue;
    beats.beats.push_back({.worker = worker,
                           .activity = activity,
                           .silent_ms = detector_.SilentMs(worker, world_->time.now_ms())});
  }
  return beats;
}

void Service::SendHeartbeats() {
  heartbeat_ms_ = world_->time.now_ms();
  for (const auto& [worker, stream] : streams_) SendTo(worker, {});
}

// A heartbeat when the message has no body.
void Service::SendTo(const WorkerId& worker, cluster::Message message) {
  if (message.sequence == 0) message.body = cluster::CoordinatorAlive{};
  message.acknowledged = streams_[worker].received();
  job_->ToWorker(worker, incarnation_, message);
}

void Service::SendDue(const WorkerId& worker) {
  cluster::ReliableStream& stream = streams_[worker];
  while (const cluster::ReliableStream::Outgoing* due = stream.Due()) {
    cluster::Message message;
    message.body = due->body;
    message.sequence = due->sequence;
    stream.Sent(world_->time.now_ms());
    SendTo(worker, message);
  }
}

// --- the background ---

void Service::Post(Steps step, std::function<bool()> is_ready) {
  work_.push_back({std::move(is_ready), std::move(step)});
  if (work_.size() == 1) BeginWork();
}

void Service::BeginWork() {
  int64_t delay_ms = world_->random.Between(1, world_->random.Chance(0.1) ? 1000 : 30);
  if (world_->fsync_stuck_until_ms > world_->time.now_ms()) {
    delay_ms += world_->fsync_stuck_until_ms - world_->time.now_ms();
  }
  Later(delay_ms, [this] { TryWork(); });
}

// The process may die between the work and its answer.
void Service::TryWork() {
  if (!work_.front().is_ready()) return Later(100, [this] { TryWork(); });
  const std::optional<coordinator::Event> event = work_.front().step();
  if (!event) return Later(GapMs(), [this] { TryWork(); });
  Later(world_->random.Between(0, 30), [this, event] {
    work_.pop_front();
    if (!work_.empty()) BeginWork();
    Happen(*event);
  });
}

int64_t Service::GapMs() {
  if (world_->scenario.has_several() && world_->Fails(kGapPauseShare)) {
    const int64_t pause_ms = world_->random.Between(1000, kGapPauseMsMax);
    world_->Note(job_->prefix() + "fault: " + self_.ToString() + " is stopped between two steps");
    PauseUntil(std::min(world_->scenario.faults_end_ms, world_->time.now_ms() + pause_ms));
  }
  return world_->random.Between(0, 30);
}

// --- planted bugs ---

void Service::AcceptOldLease(cluster::Message message) {
  auto* done = std::get_if<cluster::TaskDone>(&message.body);
  if (done == nullptr) return;
  const auto last = leases_.find(done->task);
  if (last == leases_.end()) return;
  std::tie(done->fence, message.worker) = last->second;
  Happen(event::Received{std::move(message)});
}

bool Service::IsDropped(const coordinator::Effect& effect) const {
  if (world_->bug != PlantedBug::kLostAgentNotEnded) return false;
  const auto* forget = std::get_if<effect::Forget>(&effect);
  return std::holds_alternative<effect::EndAgent>(effect) ||
         (forget != nullptr && forget->worker.name.starts_with("agent-"));
}

bool Service::IsDropped(const coordinator::Event& event) const {
  if (world_->bug == PlantedBug::kHangNotNoticed) {
    return std::holds_alternative<event::Beats>(event);
  }
  if (world_->bug != PlantedBug::kLostAgentNotNoticed) return false;
  const auto* suspected = std::get_if<event::Suspected>(&event);
  return std::holds_alternative<event::AgentEnded>(event) ||
         (suspected != nullptr && suspected->worker.name.starts_with("agent-"));
}

}  // namespace halcyon::simulation
