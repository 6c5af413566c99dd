#include "coordinator/worker_channel.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "cluster/coordinator_link.h"
#include "cluster/work_progress.h"

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
    if (forgotten_.contains(worker)) return absl::OkStatus();
    Worker& to = workers_[worker];
    if (to.stream.unacknowledged() >= kUnacknowledgedMax) {
      to.exceeded = "does not acknowledge what is sent to it";
    }
    if (!to.exceeded.empty()) return absl::OkStatus();
    to.stream.Queue(std::move(body));
    due_.insert(worker);
  }
  return thread_ ? absl::OkStatus() : SendDue();
}

cluster::Message WorkerChannel::Addressed(const WorkerId& worker, cluster::Body body) const {
  return {job_, worker, incarnation_, std::move(body)};
}

absl::Status WorkerChannel::Turn(int64_t timeout_ms) {
  NotePause();
  RETURN_IF_ERROR(SendDue());
  RETURN_IF_ERROR(SendHeartbeats());
  for (int reads = 0; reads < kReadsPerTurnMax; ++reads) {
    ASSIGN_OR_RETURN(std::optional<cluster::Message> message,
                     transport_->Receive(reads == 0 ? timeout_ms : 0));
    if (!message) break;
    Take(*std::move(message));
  }
  return SendDue();
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

absl::Status WorkerChannel::SendDue() {
  const int64_t now_ms = clock_->MonotonicMs();
  std::vector<cluster::Message> messages;
  {
    const MutexLock lock(&mutex_);
    for (const WorkerId& id : std::exchange(due_, {})) {
      const auto worker = workers_.find(id);
      if (worker == workers_.end()) continue;
      cluster::ReliableStream& stream = worker->second.stream;
      const size_t before = messages.size();
      while (const cluster::ReliableStream::Outgoing* due = stream.Due()) {
        messages.push_back(Addressed(id, due->body));
        messages.back().sequence = due->sequence;
        stream.Sent(now_ms);
      }
      // A worker that ends waits for the acknowledgement of its last message.
      if (messages.size() == before) messages.push_back(Addressed(id, cluster::CoordinatorAlive{}));
      for (size_t i = before; i < messages.size(); ++i)
        messages[i].acknowledged = stream.received();
    }
    for (const WorkerId& id : std::exchange(told_to_end_, {})) {
      messages.push_back(
          Addressed(id, cluster::Stop{"it does not belong to the job any more", /*end_now=*/true}));
    }
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
  std::vector<cluster::Message> messages;
  {
    const MutexLock lock(&mutex_);
    for (const auto& [id, worker] : workers_) {
      messages.push_back(Addressed(id, cluster::CoordinatorAlive{}));
      messages.back().acknowledged = worker.stream.received();
    }
  }
  for (const cluster::Message& message : messages) RETURN_IF_ERROR(transport_->Send(message));
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
  if (forgotten_.contains(message.worker)) {
    if (std::holds_alternative<cluster::Alive>(message.body)) {
      told_to_end_.push_back(message.worker);
    }
    return;
  }
  if (!workers_.contains(message.worker) && !HasPlace()) {
    spdlog::warn("dropped a {} of {}: {} workers are known", cluster::TypeName(message.body),
                 message.worker.name, kWorkersMax);
    return;
  }
  const int64_t now_ms = clock_->MonotonicMs();
  detector_.OnMessage(message.worker, now_ms);
  Worker& worker = workers_[message.worker];
  CountRate(now_ms, &worker);
  // Once one is dropped, so are the later ones: the messages that are taken have no gap.
  if (!worker.exceeded.empty()) return;
  const bool is_new = worker.stream.Accept(message, now_ms);
  if (auto* alive = std::get_if<cluster::Alive>(&message.body)) {
    if (worker.stream.Due() != nullptr) due_.insert(message.worker);
    worker.activity = std::move(alive->activity);
    return;
  }
  if (const auto* hello = std::get_if<cluster::Hello>(&message.body)) {
    const bool is_here = hello->boot_id == boot_id_ && std::in_range<pid_t>(hello->pid);
    if (is_here) worker.process = {static_cast<pid_t>(hello->pid), hello->start_time};
  }
  due_.insert(message.worker);
  if (!is_new) return;
  if (worker.waiting >= kWaitingMessagesMax ||
      worker.waiting_bytes + message.bytes > kWaitingBytesMax) {
    worker.exceeded = "sent more than " + std::to_string(kWaitingMessagesMax) + " messages or " +
                      std::to_string(kWaitingBytesMax >> 20) + " MiB that were not read yet";
    return;
  }
  ++worker.waiting;
  worker.waiting_bytes += message.bytes;
  inbox_.push_back(std::move(message));
  changed_.NotifyAll();
}

void WorkerChannel::CountRate(int64_t now_ms, Worker* worker) {
  if (now_ms - worker->span_began_ms >= kRateSpanMs) {
    worker->span_began_ms = now_ms;
    worker->span_messages = 0;
  }
  if (++worker->span_messages > kRateMessagesMax) {
    worker->exceeded = "sent more than " + std::to_string(kRateMessagesMax) + " messages in " +
                       std::to_string(kRateSpanMs / 1000) + " s";
  }
}

bool WorkerChannel::HasPlace() {
  if (workers_.size() < kWorkersMax) return true;
  // Workers that have sent nothing for so long have ended, whether or not they were forgotten.
  for (const WorkerId& worker : detector_.Suspects(turned_ms_ - kForgetAfterMs)) Remove(worker);
  return workers_.size() < kWorkersMax;
}

void WorkerChannel::Remove(const WorkerId& worker) {
  detector_.Remove(worker);
  workers_.erase(worker);
  due_.erase(worker);
  if (!forgotten_.insert(worker).second) return;
  forgotten_order_.push_back(worker);
  if (forgotten_order_.size() <= kForgottenMax) return;
  forgotten_.erase(forgotten_order_.front());
  forgotten_order_.pop_front();
}

std::vector<WorkerBeat> WorkerChannel::Beats() {
  std::vector<WorkerBeat> beats;
  std::vector<std::pair<size_t, cluster::ProcessIdentity>> silent;
  {
    const MutexLock lock(&mutex_);
    for (const auto& [id, worker] : workers_) {
      beats.push_back({.worker = id,
                       .activity = worker.activity,
                       .silent_ms = detector_.SilentMs(id, turned_ms_)});
      const bool is_late = beats.back().silent_ms >= 2 * cluster::kHeartbeatIntervalMs;
      if (is_late && worker.process) silent.emplace_back(beats.size() - 1, *worker.process);
    }
  }
  for (const auto& [index, process] : silent) beats[index].is_stopped = IsStopped(process);
  return beats;
}

std::vector<WorkerChannel::Suspect> WorkerChannel::Suspects() {
  const MutexLock lock(&mutex_);
  std::vector<Suspect> suspects;
  for (const WorkerId& worker : detector_.Suspects(turned_ms_)) {
    const std::string doing = cluster::Describe(workers_.at(worker).activity);
    suspects.push_back({worker, "stopped sending" + (doing.empty() ? "" : " in " + doing)});
  }
  for (const auto& [id, worker] : workers_) {
    if (!worker.exceeded.empty()) suspects.push_back({id, worker.exceeded});
  }
  return suspects;
}

void WorkerChannel::Forget(const WorkerId& worker) {
  const MutexLock lock(&mutex_);
  Remove(worker);
  std::erase_if(inbox_, [&](const cluster::Message& message) { return message.worker == worker; });
}

int WorkerChannel::pauses() {
  const MutexLock lock(&mutex_);
  return pauses_;
}

}  // namespace halcyon::coordinator
