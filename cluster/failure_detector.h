// Which workers have sent nothing for too long. Pure: takes the times of messages, gives names.
#ifndef HALCYON_CLUSTER_FAILURE_DETECTOR_H_
#define HALCYON_CLUSTER_FAILURE_DETECTOR_H_

#include <cstdint>
#include <map>
#include <vector>

#include "base/ids.h"
#include "cluster/coordinator_link.h"

namespace halcyon::cluster {

// Not thread-safe. Times are of one clock that never goes back.
class FailureDetector {
 public:
  explicit FailureDetector(int64_t timeout_ms = kHeartbeatTimeoutMs) : timeout_ms_(timeout_ms) {}

  // The worker has sent something; its first message starts its timeout.
  void OnMessage(const WorkerId& worker, int64_t now_ms) { last_message_ms_[worker] = now_ms; }
  // Starts all timeouts anew: this process could not receive before.
  void RestartTimeouts(int64_t now_ms);
  // Ends the worker's timeout; OK when it has none.
  void Remove(const WorkerId& worker) { last_message_ms_.erase(worker); }
  // Since it sent something, or its timeout started anew; 0 when it has none.
  int64_t SilentMs(const WorkerId& worker, int64_t now_ms) const;
  // All that have sent nothing for the timeout or longer, in the order of WorkerId. They stay
  // suspected until they send again or are removed.
  std::vector<WorkerId> Suspects(int64_t now_ms) const;

 private:
  int64_t timeout_ms_;
  std::map<WorkerId, int64_t> last_message_ms_;
};

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_FAILURE_DETECTOR_H_
