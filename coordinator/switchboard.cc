#include "coordinator/switchboard.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "cluster/coordinator_link.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kAsidePollMs = 20;

}  // namespace

absl::StatusOr<std::optional<cluster::Message>> Switchboard::Next(int64_t timeout_ms) {
  RETURN_IF_ERROR(SendHeartbeats());
  // A heartbeat that comes first does not end the wait: nullopt means that the line was quiet.
  const int64_t deadline_ms = clock_->MonotonicMs() + timeout_ms;
  bool quiet = false;
  while (inbox_.empty() && !quiet) {
    RETURN_IF_ERROR(Read(std::max<int64_t>(0, deadline_ms - clock_->MonotonicMs())));
    quiet = drained_;
  }
  if (inbox_.empty()) return std::nullopt;
  cluster::Message message = std::move(inbox_.front());
  inbox_.pop_front();
  return message;
}

absl::Status Switchboard::Read(int64_t timeout_ms) {
  ASSIGN_OR_RETURN(std::optional<cluster::Message> message, transport_->Receive(timeout_ms));
  drained_ = !message.has_value();
  if (!message) return absl::OkStatus();
  if (message->job != job_ || message->incarnation != incarnation_) {
    spdlog::warn("dropped a {} of {}: it belongs to job {}, incarnation {}",
                 cluster::TypeName(message->body), message->worker.name, message->job.value(),
                 message->incarnation.value());
    return absl::OkStatus();
  }
  detector_.Heard(message->worker, clock_->MonotonicMs());
  std::string& phase = phases_[message->worker];
  if (const auto* alive = std::get_if<cluster::Alive>(&message->body)) {
    phase = alive->phase;
    return absl::OkStatus();
  }
  inbox_.push_back(*std::move(message));
  return absl::OkStatus();
}

absl::Status Switchboard::Send(const WorkerId& worker, cluster::Body body) {
  return transport_->Send(cluster::Message{job_, worker, incarnation_, std::move(body)});
}

absl::Status Switchboard::SendToAll(const cluster::Body& body) {
  for (const auto& [worker, phase] : phases_) RETURN_IF_ERROR(Send(worker, body));
  return absl::OkStatus();
}

absl::Status Switchboard::SendHeartbeats() {
  const int64_t now_ms = clock_->MonotonicMs();
  if (heartbeat_ms_ && now_ms - *heartbeat_ms_ < cluster::kHeartbeatIntervalMs) {
    return absl::OkStatus();
  }
  heartbeat_ms_ = now_ms;
  return SendToAll(cluster::CoordinatorAlive{});
}

absl::Status Switchboard::RunAside(const std::function<absl::Status()>& work) {
  absl::Status result;
  std::atomic<bool> ended = false;
  std::jthread thread([&] {
    result = work();
    ended = true;
  });
  absl::Status line;
  while (!ended) {
    // The thread uses what the caller lent it, so this waits for its end even when the line breaks.
    if (line.ok()) line = SendHeartbeats();
    if (line.ok()) {
      line = Read(kAsidePollMs);
    } else {
      clock_->SleepMs(kAsidePollMs);
    }
  }
  thread.join();
  drained_ = false;
  RETURN_IF_ERROR(result);
  return line;
}

std::vector<WorkerId> Switchboard::Silent() const {
  if (!drained_ || !inbox_.empty()) return {};
  return detector_.Suspects(clock_->MonotonicMs());
}

void Switchboard::Forget(const WorkerId& worker) {
  detector_.Remove(worker);
  phases_.erase(worker);
}

std::string Switchboard::PhaseOf(const WorkerId& worker) const {
  const auto it = phases_.find(worker);
  return it == phases_.end() ? "" : it->second;
}

}  // namespace halcyon::coordinator
