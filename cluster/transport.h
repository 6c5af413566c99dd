// Messages between one coordinator and its workers. Injected, so that tests replace the network.
#ifndef HALCYON_CLUSTER_TRANSPORT_H_
#define HALCYON_CLUSTER_TRANSPORT_H_

#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "cluster/messages.h"

namespace halcyon::cluster {

// The coordinator's end. Used by one thread. A worker is addressed by its WorkerId once it has
// sent a message; what is sent to a worker that is gone is lost without an error.
// Send never waits, here and below: kUnavailable when the queue is full, kInvalidArgument when the
// message is too large.
class ServerTransport {
 public:
  virtual ~ServerTransport() = default;
  virtual absl::Status Send(const Message& message) = 0;  // to message.worker
  // The next message, or nullopt: none came within `timeout_ms`, a signal came, or a message that
  // was malformed or named another worker as its sender has been logged and dropped.
  virtual absl::StatusOr<std::optional<Message>> Receive(int64_t timeout_ms) = 0;
  virtual const std::string& endpoint() const = 0;
};

// A worker's end. Used by one thread.
class ClientTransport {
 public:
  virtual ~ClientTransport() = default;
  virtual absl::Status Send(const Message& message) = 0;
  virtual absl::StatusOr<std::optional<Message>> Receive(int64_t timeout_ms) = 0;  // as above
};

// ZeroMQ: ROUTER and DEALER sockets. `endpoint`: "ipc:///path", of any length; the folder exists.
// The socket file gets mode 0600 and replaces one left behind. A client may connect before the
// server listens: what it sends waits.
absl::StatusOr<std::unique_ptr<ServerTransport>> BindZmq(const std::string& endpoint);
absl::StatusOr<std::unique_ptr<ClientTransport>> ConnectZmq(const std::string& endpoint,
                                                            const WorkerId& self);

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_TRANSPORT_H_
