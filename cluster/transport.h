// Messages between one coordinator and its workers. Injected, so that tests replace the network.
#ifndef HALCYON_CLUSTER_TRANSPORT_H_
#define HALCYON_CLUSTER_TRANSPORT_H_

#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "cluster/curve_keys.h"
#include "cluster/messages.h"

namespace halcyon::cluster {

// The coordinator's end. Used by one thread. A worker is addressed by its WorkerId once it has
// sent a message; what is sent to a worker that is gone is lost without an error.
// Send never waits, here and below: kUnavailable when the queue is full or, at a client, when there
// is no connection; kInvalidArgument when the message is too large.
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
  // What is still queued is given up, so that the destructor does not wait for it.
  virtual void Abandon() {}
};

// ZeroMQ: ROUTER and DEALER sockets. Endpoints as in cluster/endpoint.h.
//
// ipc: the path may have any length, its folder exists; the socket file gets mode 0600 and replaces
// one left behind. tcp: encrypted and authenticated with CURVE when there are keys; beyond loopback
// there must be. Connections that break are made again, and those that are half open are found
// within seconds; what was under way may be lost (cluster/reliable_stream.h).
struct ServerOptions {
  std::string endpoint;           // tcp: with port "*" one that is free is chosen
  std::optional<CurveKeys> keys;  // tcp: peers must have the worker's
};
absl::StatusOr<std::unique_ptr<ServerTransport>> BindZmq(const ServerOptions& options);

struct ClientOptions {
  std::string endpoint;
  WorkerId self;
  Incarnation incarnation;  // of the coordinator
  std::string server_key;   // the coordinator's public one; "": not encrypted
  CurveKeyPair keys;        // the worker's, with server_key
};
// A client may connect before the server listens.
absl::StatusOr<std::unique_ptr<ClientTransport>> ConnectZmq(const ClientOptions& options);

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_TRANSPORT_H_
