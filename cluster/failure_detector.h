// Which workers have been silent for too long. Pure: times come in, names go out.
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

  // A sign of life; the first one starts the watch over this worker.
  void OnMessage(const WorkerId& worker, int64_t now_ms) { last_message_ms_[worker] = now_ms; }
  // The silence of all counts from now on: this process could not receive before.
  void Forgive(int64_t now_ms);
  // Ends the watch; fine when there is none.
  void Remove(const WorkerId& worker) { last_message_ms_.erase(worker); }
  // All that have been silent for the timeout or longer, in the order of WorkerId. They stay
  // suspected until they send again or are removed.
  std::vector<WorkerId> Suspects(int64_t now_ms) const;

 private:
  int64_t timeout_ms_;
  std::map<WorkerId, int64_t> last_message_ms_;
};

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_FAILURE_DETECTOR_H_
