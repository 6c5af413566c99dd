// A worker's connection to its coordinator: one thread that owns the transport, sends heartbeats
// and ends the process when the coordinator has sent nothing for too long. Every other message
// comes in exactly once (cluster/reliable_stream.h).
#ifndef HALCYON_CLUSTER_COORDINATOR_LINK_H_
#define HALCYON_CLUSTER_COORDINATOR_LINK_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "cluster/messages.h"
#include "cluster/transport.h"

namespace halcyon::cluster {

inline constexpr int64_t kHeartbeatIntervalMs = 1000;
// A peer that has sent nothing for so long counts as dead.
inline constexpr int64_t kHeartbeatTimeoutMs = 6000;

// All methods are thread-safe.
class CoordinatorLink {
 public:
  struct Identity {
    JobId job;
    WorkerId worker;
    Incarnation incarnation;
  };
  // Starts the thread. `on_lost` is called on it, once, when the coordinator has sent nothing for
  // kHeartbeatTimeoutMs (counted from the start, and anew after this process was itself stopped);
  // in programs it ends the process at once with kPreempted. So it is when the coordinator tells
  // this worker to end at once. Afterwards nothing is sent or received. Messages of a coordinator
  // of another incarnation are logged and do not count.
  static absl::StatusOr<std::unique_ptr<CoordinatorLink>> Start(const std::string& endpoint,
                                                                Identity identity,
                                                                std::function<void()> on_lost);
  // The same over a given transport; `clock` must outlive the link and be thread-safe.
  static std::unique_ptr<CoordinatorLink> StartWith(std::unique_ptr<ClientTransport> transport,
                                                    Identity identity,
                                                    std::function<void()> on_lost, Clock* clock);
  // Waits until the coordinator has received what was sent (up to about 5 s), then joins.
  virtual ~CoordinatorLink() = default;

  // kInvalidArgument, and nothing is sent, when the message is larger than kMessageBytesMax. Of
  // progress the coordinator gets nothing more while it takes nothing in.
  virtual absl::Status Send(Body body) = 0;
  // The next Welcome or Lease (heartbeats and Stop are handled inside), also when Stop has come
  // behind it; nullopt when there is none, and `timeout_ms` passed or Stop has come.
  virtual std::optional<Message> Receive(int64_t timeout_ms) = 0;
  virtual bool stop_requested() const = 0;
  // Called for each heartbeat, on the link's thread: what this worker does. Time in which this
  // process did not run does not count in its age. The function before is not called any more when
  // this returns. An empty function: none.
  virtual void SetActivity(std::function<Activity()> activity) = 0;
};

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_COORDINATOR_LINK_H_
