#include "coordinator/worker_channel.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "cluster/coordinator_link.h"

namespace halcyon::coordinator {
namespace {

// How long a message that was just queued may wait for the thread, at most.
constexpr int64_t kTurnMs = 5;
// Messages taken before heartbeats are looked at again.
constexpr int kReadsPerTurnMax = 256;
constexpr int64_t kForgetAfterMs = 60'000;

}  // namespace

WorkerChannel::~WorkerChannel() {
  const MutexLock lock(&mutex_);
  closing_ = true;
}

void WorkerChannel::StartThread() {
  thread_.emplace([this] { Run(); });
}

bool WorkerChannel::closing() {
  const MutexLock lock(&mutex_);
  return closing_;
}

void WorkerChannel::Run() {
  while (true) {
    // Read first: what was queued before the destructor began is then sent below.
    const bool last_turn = closing();
    const absl::Status status = Turn(last_turn ? 0 : kTurnMs);
    if (last_turn) return;
    if (status.ok()) continue;
    const MutexLock lock(&mutex_);
    broken_ = status;
    changed_.NotifyAll();
    return;
  }
}

absl::StatusOr<std::optional<cluster::Message>> WorkerChannel::Next(int64_t timeout_ms) {
  if (!thread_) {
    // A heartbeat that comes first does not end the wait.
    const int64_t deadline_ms = clock_->MonotonicMs() + timeout_ms;
    while (true) {
      RETURN_IF_ERROR(Turn(std::max<int64_t>(0, deadline_ms - clock_->MonotonicMs())));
      const MutexLock lock(&mutex_);
      if (!inbox_.empty() || clock_->MonotonicMs() >= deadline_ms) return TakeFirst();
    }
  }
  const MutexLock lock(&mutex_);
  changed_.WaitFor(&mutex_, timeout_ms, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !inbox_.empty() || woken_ || !broken_.ok();
  });
  RETURN_IF_ERROR(broken_);
  woken_ = false;
  return TakeFirst();
}

void WorkerChannel::Wake() {
  const MutexLock lock(&mutex_);
  woken_ = true;
  changed_.NotifyAll();
}

std::optional<cluster::Message> WorkerChannel::TakeFirst() {
  if (inbox_.empty()) return std::nullopt;
  cluster::Message message = std::move(inbox_.front());
  inbox_.pop_front();
  if (const auto it = workers_.find(message.worker); it != workers_.end()) {
    --it->second.waiting;
    it->second.waiting_bytes -= message.bytes;
  }
  return message;
}

absl::Status WorkerChannel::Send(const WorkerId& worker, cluster::Body body) {
  {
    const MutexLock lock(&mutex_);
    RETURN_IF_ERROR(broken_);
    outgoing_.push_back({job_, worker, incarnation_, std::move(body)});
  }
  return thread_ ? absl::OkStatus() : SendQueued();
}

absl::Status WorkerChannel::Turn(int64_t timeout_ms) {
  NotePause();
  RETURN_IF_ERROR(SendQueued());
  RETURN_IF_ERROR(SendHeartbeats());
  for (int reads = 0; reads < kReadsPerTurnMax; ++reads) {
    ASSIGN_OR_RETURN(std::optional<cluster::Message> message,
                     transport_->Receive(reads == 0 ? timeout_ms : 0));
    if (!message) break;
    Take(*std::move(message));
  }
  return absl::OkStatus();
}

void WorkerChannel::NotePause() {
  const int64_t now_ms = clock_->MonotonicMs();
  const bool paused = pause_.Turn(now_ms);
  if (paused)
    spdlog::warn("this process was stopped for a while; the timeouts of all workers start anew");
  const MutexLock lock(&mutex_);
  turned_ms_ = now_ms;
  if (!paused) return;
  detector_.RestartTimeouts(now_ms);
  ++pauses_;
}

absl::Status WorkerChannel::SendQueued() {
  std::deque<cluster::Message> messages;
  {
    const MutexLock lock(&mutex_);
    messages.swap(outgoing_);
  }
  for (const cluster::Message& message : messages) RETURN_IF_ERROR(transport_->Send(message));
  return absl::OkStatus();
}

absl::Status WorkerChannel::SendHeartbeats() {
  const int64_t now_ms = clock_->MonotonicMs();
  if (heartbeat_ms_ && now_ms - *heartbeat_ms_ < cluster::kHeartbeatIntervalMs) {
    return absl::OkStatus();
  }
  heartbeat_ms_ = now_ms;
  std::vector<WorkerId> workers;
  {
    const MutexLock lock(&mutex_);
    for (const auto& [id, worker] : workers_) workers.push_back(id);
  }
  for (const WorkerId& worker : workers) {
    RETURN_IF_ERROR(transport_->Send({job_, worker, incarnation_, cluster::CoordinatorAlive{}}));
  }
  return absl::OkStatus();
}

void WorkerChannel::Take(cluster::Message message) {
  if (message.job != job_ || message.incarnation != incarnation_) {
    spdlog::warn("dropped a {} of {}: it belongs to job {}, incarnation {}",
                 cluster::TypeName(message.body), message.worker.name, message.job.value(),
                 message.incarnation.value());
    return;
  }
  const MutexLock lock(&mutex_);
  if (!workers_.contains(message.worker) && !HasPlace()) {
    spdlog::warn("dropped a {} of {}: {} workers are known", cluster::TypeName(message.body),
                 message.worker.name, kWorkersMax);
    return;
  }
  detector_.OnMessage(message.worker, clock_->MonotonicMs());
  Worker& worker = workers_[message.worker];
  if (auto* alive = std::get_if<cluster::Alive>(&message.body)) {
    worker.phase = std::move(alive->phase);
    return;
  }
  // Once one is dropped, so are the later ones: the messages that are taken have no gap.
  if (worker.exceeded || worker.waiting >= kWaitingMessagesMax ||
      worker.waiting_bytes + message.bytes > kWaitingBytesMax) {
    worker.exceeded = true;
    return;
  }
  ++worker.waiting;
  worker.waiting_bytes += message.bytes;
  inbox_.push_back(std::move(message));
  changed_.NotifyAll();
}

bool WorkerChannel::HasPlace() {
  if (workers_.size() < kWorkersMax) return true;
  // Workers that have sent nothing for so long have ended. They are still listed because a last
  // heartbeat came in after they had been forgotten.
  for (const WorkerId& worker : detector_.Suspects(turned_ms_ - kForgetAfterMs)) {
    detector_.Remove(worker);
    workers_.erase(worker);
  }
  return workers_.size() < kWorkersMax;
}

std::vector<WorkerChannel::Suspect> WorkerChannel::Suspects() {
  const MutexLock lock(&mutex_);
  std::vector<Suspect> suspects;
  for (const WorkerId& worker : detector_.Suspects(turned_ms_)) {
    const std::string& phase = workers_.at(worker).phase;
    suspects.push_back({worker, "stopped sending" + (phase.empty() ? "" : " in " + phase)});
  }
  for (const auto& [id, worker] : workers_) {
    if (!worker.exceeded) continue;
    suspects.push_back({id, "sent more than " + std::to_string(kWaitingMessagesMax) +
                                " messages or " + std::to_string(kWaitingBytesMax >> 20) +
                                " MiB that were not read yet"});
  }
  return suspects;
}

void WorkerChannel::Forget(const WorkerId& worker) {
  const MutexLock lock(&mutex_);
  detector_.Remove(worker);
  workers_.erase(worker);
  std::erase_if(inbox_, [&](const cluster::Message& message) { return message.worker == worker; });
}

int WorkerChannel::pauses() {
  const MutexLock lock(&mutex_);
  return pauses_;
}

}  // namespace halcyon::coordinator
