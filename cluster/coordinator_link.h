// A worker's connection to its coordinator: one thread that owns the transport, sends heartbeats
// and ends the process when the coordinator has sent nothing for too long. Every other message
// comes in exactly once (cluster/reliable_stream.h).
//
// With a grace the worker goes on as an orphan when its coordinator is gone. Once a second the link
// looks for the next coordinator of the job, connects to it, and tells it what this worker is and
// works on (cluster/restatement.h). That one answers Welcome, and the worker is its own; or it
// tells the worker to end at once.
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
  struct Options {
    Identity identity;
    // How long the worker goes on without a coordinator; 0: it ends when it has lost its own.
    int64_t orphan_grace_ms = 0;
    // Called on the link's thread, once, when the worker must end.
    std::function<void()> on_lost;
    std::string endpoint = "";  // of the coordinator, for messages
  };
  // A connection to a coordinator of the job.
  struct Connection {
    Incarnation incarnation;
    std::unique_ptr<ClientTransport> transport;
  };
  // Looks for a coordinator above `last`; none: there is no such one yet. Called on the link's
  // thread. It may read a file, since an orphan has nobody to send heartbeats to.
  using FindNext = std::function<absl::StatusOr<std::optional<Connection>>(Incarnation last)>;
  // Connects to the coordinator that `contact_file` names (cluster/contact.h) and starts the
  // thread. identity.incarnation is that of the coordinator that started this process; kAborted
  // when the file names an earlier one, or a later one and there is no grace.
  //
  // The coordinator is lost when it has sent nothing for kHeartbeatTimeoutMs (counted from the
  // start, and anew after this process was itself stopped). The worker must end when the grace has
  // passed since then, or when it is told to end at once; in programs `on_lost` ends the process
  // with kPreempted. Afterwards nothing is sent or received. Messages of a coordinator of another
  // incarnation are logged and do not count.
  static absl::StatusOr<std::unique_ptr<CoordinatorLink>> Start(const std::string& contact_file,
                                                                Options options);
  // The same over a given transport; `clock` must outlive the link and be thread-safe.
  static std::unique_ptr<CoordinatorLink> StartWith(std::unique_ptr<ClientTransport> transport,
                                                    Options options, FindNext find_next,
                                                    Clock* clock);
  // Waits until the coordinator has received what was sent, up to about 5 s or, with a grace, as
  // long as an orphan may go on; then joins.
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
  // Asked once a second while the worker is an orphan, on the link's thread: whether another job,
  // or a later launch, does its work now. Then it must end, whatever its grace.
  virtual void SetSuperseded(std::function<bool()> is_superseded) = 0;
};

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_COORDINATOR_LINK_H_
