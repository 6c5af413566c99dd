// The coordinator's line to its workers: messages in, messages out, heartbeats both ways, and who
// has fallen silent. What messages mean is decided elsewhere.
#ifndef HALCYON_COORDINATOR_SWITCHBOARD_H_
#define HALCYON_COORDINATOR_SWITCHBOARD_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/status.h"
#include "cluster/failure_detector.h"
#include "cluster/messages.h"
#include "cluster/transport.h"

namespace halcyon::coordinator {

// Not thread-safe. Owns neither transport nor clock.
class Switchboard {
 public:
  Switchboard(cluster::ServerTransport* transport, Clock* clock, JobId job, Incarnation incarnation)
      : transport_(transport), clock_(clock), job_(std::move(job)), incarnation_(incarnation) {}

  // The next message, heartbeats excepted, or nullopt after `timeout_ms`. A message of another job
  // or incarnation is dropped. Sends heartbeats when they are due.
  absl::StatusOr<std::optional<cluster::Message>> Next(int64_t timeout_ms);

  absl::Status Send(const WorkerId& worker, cluster::Body body);
  absl::Status SendToAll(const cluster::Body& body);

  // Runs `work` on another thread and keeps the line alive meanwhile; messages wait for Next.
  absl::Status RunAside(const std::function<absl::Status()>& work);

  // Workers that have spoken once and then not for cluster::kHeartbeatTimeoutMs. Empty while
  // messages wait to be read: a busy coordinator must not take its own delay for theirs.
  std::vector<WorkerId> Silent() const;
  // The worker has ended: no more heartbeats to it, and no silence.
  void Forget(const WorkerId& worker);
  // What the worker last said that it is doing; "" when it never did.
  std::string PhaseOf(const WorkerId& worker) const;
  const std::string& endpoint() const { return transport_->endpoint(); }

 private:
  absl::Status SendHeartbeats();
  // Reads one message, into the inbox unless it is a heartbeat or not for this job.
  absl::Status Read(int64_t timeout_ms);

  cluster::ServerTransport* transport_;
  Clock* clock_;
  JobId job_;
  Incarnation incarnation_;
  cluster::FailureDetector detector_;
  std::map<WorkerId, std::string> phases_;  // of every known worker
  std::deque<cluster::Message> inbox_;
  std::optional<int64_t> heartbeat_ms_;  // when the last one was sent
  bool drained_ = false;                 // the last read found nothing
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_SWITCHBOARD_H_
