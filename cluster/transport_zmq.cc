#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>
#include <zmq.hpp>

#include "base/env.h"
#include "base/terminal_text.h"
#include "cluster/endpoint.h"
#include "cluster/socket_file.h"
#include "cluster/transport.h"
#include "cluster/unproven_connections.h"
#include "cluster/zap_handler.h"

namespace halcyon::cluster {
namespace {

constexpr int kQueuedMessagesMax = 10'000;  // for one peer, to be sent
// For one peer, received and not yet taken: a peer that sends faster than it is read waits. With
// kMessageBytesMax this bounds what a peer can make ZeroMQ hold.
constexpr int kReceivedMessagesMax = 32;
// How long closing a transport may wait for what is still queued: enough for a worker's last
// messages on an overloaded machine.
constexpr int kLingerMs = 5000;
// A peer that cannot be reached is tried again, first soon, then less and less often.
constexpr int kReconnectMs = 100, kReconnectMsMax = 5000, kConnectMsMax = 5000;
// A connection over which ZeroMQ's own heartbeats do not come is closed, and made again by the
// client: one that is half open would take in what is sent and lose it.
constexpr int kProbeMs = 2000, kProbeTimeoutMs = 6000;
// A peer that connects and does not prove its key within this time is disconnected.
constexpr int kHandshakeMsMax = 10'000;
// Connections that the system holds until ZeroMQ accepts them: all workers of a job may come at
// once.
constexpr int kBacklog = 1024;

absl::Status ZmqStatus(const zmq::error_t& error, const std::string& what) {
  return Internal(what + ": " + error.what());
}

// The endpoint for ZeroMQ; `file` is set for ipc and outlives the socket.
absl::StatusOr<std::string> AddressOf(const Endpoint& endpoint, std::optional<SocketFile>* file) {
  if (endpoint.is_tcp) return "tcp://" + endpoint.host + ":" + endpoint.port;
  ASSIGN_OR_RETURN(*file, SocketFile::Open(endpoint.path));
  return (*file)->Address();
}

// With the coordinator's incarnation: a worker that goes on with the next coordinator is another
// peer for ZeroMQ, which may not have noticed yet that the last connection ended.
std::string RoutingId(const WorkerId& worker, Incarnation incarnation) {
  return worker.name + ":" + std::to_string(worker.incarnation) + ":" +
         std::to_string(incarnation.value());
}

// ZeroMQ's calls fail at any signal; in the middle of a message of several parts they are repeated.
template <typename Call>
auto RetryInterrupted(Call call) {
  while (true) {
    try {
      return call();
    } catch (const zmq::error_t& error) {
      if (error.num() != EINTR) throw;
    }
  }
}

// A socket with a context, and thus an I/O thread, of its own.
class ZmqSocket {
 public:
  explicit ZmqSocket(zmq::socket_type type) : socket_(context_, type) {
    socket_.set(zmq::sockopt::linger, kLingerMs);
    socket_.set(zmq::sockopt::sndhwm, kQueuedMessagesMax);
    socket_.set(zmq::sockopt::rcvhwm, kReceivedMessagesMax);
    // A peer that sends a longer one is disconnected.
    socket_.set(zmq::sockopt::maxmsgsize, static_cast<int64_t>(kMessageBytesMax));
    socket_.set(zmq::sockopt::handshake_ivl, kHandshakeMsMax);
    socket_.set(zmq::sockopt::reconnect_ivl, kReconnectMs);
    socket_.set(zmq::sockopt::reconnect_ivl_max, kReconnectMsMax);
  }
  zmq::socket_t& socket() { return socket_; }

  void PrepareTcp(const Endpoint& endpoint) {
    socket_.set(zmq::sockopt::ipv6, endpoint.is_ipv6());
    socket_.set(zmq::sockopt::tcp_keepalive, 1);
    socket_.set(zmq::sockopt::connect_timeout, kConnectMsMax);
    socket_.set(zmq::sockopt::heartbeat_ivl, kProbeMs);
    socket_.set(zmq::sockopt::heartbeat_timeout, kProbeTimeoutMs);
    socket_.set(zmq::sockopt::heartbeat_ttl, kProbeTimeoutMs);
  }

  // Before the socket is bound.
  absl::Status BoundConnections() {
    socket_.set(zmq::sockopt::backlog, kBacklog);
    ASSIGN_OR_RETURN(unproven_, UnprovenConnections::Start(context_.handle(), socket_.handle()));
    return absl::OkStatus();
  }

  // From here on only peers with the worker's key are connected.
  absl::Status Protect(const CurveKeys& keys) {
    ASSIGN_OR_RETURN(zap_, ZapHandler::Start(context_.handle(), {keys.worker.public_key}));
    socket_.set(zmq::sockopt::zap_domain, kZapDomain);
    socket_.set(zmq::sockopt::curve_server, true);
    socket_.set(zmq::sockopt::curve_secretkey, keys.server.secret_key);
    return absl::OkStatus();
  }

  // Never waits. kUnavailable: the queue is full.
  absl::Status Send(const std::vector<std::string>& parts) {
    if (parts.back().size() > kMessageBytesMax) {
      return InvalidArgument("message of " + std::to_string(parts.back().size()) +
                             " bytes; at most " + std::to_string(kMessageBytesMax) +
                             " can be sent");
    }
    try {
      for (const std::string& part : parts) {
        const bool last = &part == &parts.back();
        const auto flags =
            last ? zmq::send_flags::dontwait : zmq::send_flags::dontwait | zmq::send_flags::sndmore;
        if (!RetryInterrupted([&] { return socket_.send(zmq::buffer(part), flags); })) {
          return Unavailable("the peer is not connected, or does not read its messages");
        }
      }
    } catch (const zmq::error_t& error) {
      return ZmqStatus(error, "cannot send a message");
    }
    return absl::OkStatus();
  }

  // The parts of the next message; empty when none came in time or a signal did.
  absl::StatusOr<std::vector<std::string>> Receive(int64_t timeout_ms) {
    std::vector<std::string> parts;
    try {
      std::vector<zmq::pollitem_t> items = {{socket_.handle(), 0, ZMQ_POLLIN, 0}};
      if (zap_) items.push_back({zap_->socket(), 0, ZMQ_POLLIN, 0});
      if (unproven_) items.push_back({unproven_->socket(), 0, ZMQ_POLLIN, 0});
      if (zmq::poll(items, std::chrono::milliseconds(timeout_ms)) == 0) return parts;
      if (zap_) zap_->Serve();
      if (unproven_) unproven_->Serve();
      zmq::message_t part;
      const auto receive = [&] { return socket_.recv(part, zmq::recv_flags::dontwait); };
      while ((parts.empty() || part.more()) && RetryInterrupted(receive)) {
        parts.push_back(part.to_string());
      }
      if (unproven_ && !parts.empty()) unproven_->Proved(zmq_msg_get(part.handle(), ZMQ_SRCFD));
    } catch (const zmq::error_t& error) {
      if (error.num() != EINTR) return ZmqStatus(error, "cannot receive a message");
    }
    return parts;
  }

 private:
  zmq::context_t context_;
  std::unique_ptr<ZapHandler> zap_;
  std::unique_ptr<UnprovenConnections> unproven_;
  zmq::socket_t socket_;
};

// nullopt, after a line in the log, when the bytes are no message.
std::optional<Message> DecodeOrDrop(const std::string& bytes) {
  absl::StatusOr<Message> message = Decode(bytes);
  if (message.ok()) return *std::move(message);
  spdlog::warn("dropped: {}", MessageOf(message.status()));
  return std::nullopt;
}

class ZmqServer : public ServerTransport {
 public:
  ZmqServer() : connection_(zmq::socket_type::router) {}

  absl::Status Bind(const ServerOptions& options, const Endpoint& endpoint) {
    zmq::socket_t& socket = connection_.socket();
    ASSIGN_OR_RETURN(const std::string address, AddressOf(endpoint, &file_));
    // A second process with the identity of a worker that is connected must not take its place.
    // Over TCP it may be the same one, whose last connection is half open; its key says that it
    // may.
    socket.set(zmq::sockopt::router_handover, options.keys.has_value());
    if (endpoint.is_tcp) {
      connection_.PrepareTcp(endpoint);
      RETURN_IF_ERROR(connection_.BoundConnections());
    }
    if (options.keys) RETURN_IF_ERROR(connection_.Protect(*options.keys));
    socket.bind(address);  // replaces a socket file left behind
    endpoint_ = endpoint.is_tcp ? socket.get(zmq::sockopt::last_endpoint) : options.endpoint;
    if (file_ && chmod(file_->path().c_str(), 0600) != 0) {
      return ErrnoStatus(errno, "cannot protect " + file_->path());
    }
    return absl::OkStatus();
  }

  absl::Status Send(const Message& message) override {
    return connection_.Send({RoutingId(message.worker, message.incarnation), Encode(message)});
  }

  absl::StatusOr<std::optional<Message>> Receive(int64_t timeout_ms) override {
    ASSIGN_OR_RETURN(const auto parts, connection_.Receive(timeout_ms));
    if (parts.empty()) return std::nullopt;
    if (parts.size() != 2) {
      spdlog::warn("dropped: a message of {} parts", parts.size());
      return std::nullopt;
    }
    std::optional<Message> message = DecodeOrDrop(parts[1]);
    if (!message) return std::nullopt;
    const std::string sender = RoutingId(message->worker, message->incarnation);
    if (sender != parts[0]) {
      spdlog::warn("dropped: {} sent a message in the name of {}", EscapeForTerminal(parts[0]),
                   EscapeForTerminal(sender));
      return std::nullopt;
    }
    return message;
  }

  const std::string& endpoint() const override { return endpoint_; }

 private:
  std::string endpoint_;
  std::optional<SocketFile> file_;
  ZmqSocket connection_;
};

class ZmqClient : public ClientTransport {
 public:
  ZmqClient() : connection_(zmq::socket_type::dealer) {}

  absl::Status Connect(const ClientOptions& options, const Endpoint& endpoint) {
    zmq::socket_t& socket = connection_.socket();
    ASSIGN_OR_RETURN(const std::string address, AddressOf(endpoint, &file_));
    socket.set(zmq::sockopt::routing_id, RoutingId(options.self, options.incarnation));
    // Nothing is queued for a connection that is not there: the streams keep it, and heartbeats
    // that are late are worth nothing.
    socket.set(zmq::sockopt::immediate, true);
    if (endpoint.is_tcp) connection_.PrepareTcp(endpoint);
    if (!options.server_key.empty()) {
      socket.set(zmq::sockopt::curve_serverkey, options.server_key);
      socket.set(zmq::sockopt::curve_publickey, options.keys.public_key);
      socket.set(zmq::sockopt::curve_secretkey, options.keys.secret_key);
    }
    socket.connect(address);
    return absl::OkStatus();
  }

  void Abandon() override { connection_.socket().set(zmq::sockopt::linger, 0); }

  absl::Status Send(const Message& message) override { return connection_.Send({Encode(message)}); }

  absl::StatusOr<std::optional<Message>> Receive(int64_t timeout_ms) override {
    ASSIGN_OR_RETURN(const auto parts, connection_.Receive(timeout_ms));
    if (parts.empty()) return std::nullopt;
    return DecodeOrDrop(parts.back());
  }

 private:
  std::optional<SocketFile> file_;
  ZmqSocket connection_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ServerTransport>> BindZmq(const ServerOptions& options) {
  ASSIGN_OR_RETURN(const Endpoint endpoint, ParseEndpoint(options.endpoint));
  if (!options.keys && !endpoint.is_local()) {
    return InvalidArgument("refused to listen at " + options.endpoint +
                           " without keys: anybody in that network could take a worker's place");
  }
  try {
    auto server = std::make_unique<ZmqServer>();
    RETURN_IF_ERROR(server->Bind(options, endpoint));
    return server;
  } catch (const zmq::error_t& error) {
    return ZmqStatus(error, "cannot listen at " + options.endpoint);
  }
}

absl::StatusOr<std::unique_ptr<ClientTransport>> ConnectZmq(const ClientOptions& options) {
  ASSIGN_OR_RETURN(const Endpoint endpoint, ParseEndpoint(options.endpoint));
  if (options.server_key.empty() && !endpoint.is_local()) {
    return InvalidArgument("refused to connect to " + options.endpoint + " without its key");
  }
  try {
    auto client = std::make_unique<ZmqClient>();
    RETURN_IF_ERROR(client->Connect(options, endpoint));
    return client;
  } catch (const zmq::error_t& error) {
    return ZmqStatus(error, "cannot connect to " + options.endpoint);
  }
}

}  // namespace halcyon::cluster
