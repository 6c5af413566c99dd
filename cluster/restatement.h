// What a worker that goes on tells the next coordinator of its job, which knows nothing of it: what
// it is, what it works on, and the results that the coordinator before has not received.
#ifndef HALCYON_CLUSTER_RESTATEMENT_H_
#define HALCYON_CLUSTER_RESTATEMENT_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "cluster/messages.h"

namespace halcyon::cluster {

// Follows the messages of one worker. Pure. Not thread-safe.
class Restatement {
 public:
  // The worker sends this.
  void OnSent(const Body& body);
  // It has received this.
  void OnReceived(const Body& body);

  // The messages to begin with: Hello with the worker's stage, or with its last lease, unless that
  // has failed and a coordinator has been told; the results among `unacknowledged`, and what the
  // last lease has made in any case, since the coordinator that took it may have ended before it
  // committed it; Ready when it waits for a lease. Empty when it has not said Hello yet.
  std::vector<Body> Compose(const std::vector<Body>& unacknowledged) const;

 private:
  struct Lease {
    std::string task, stage, fingerprint;
    uint64_t fence = 0;
    bool has_failed = false;
    std::optional<TaskDone> done = {};
  };

  std::optional<Hello> hello_;
  std::optional<Lease> lease_;  // the last
  std::optional<Ready> ready_;  // sent after the last lease
};

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_RESTATEMENT_H_
