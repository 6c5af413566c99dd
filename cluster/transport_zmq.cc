#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <string_view>
#include <vector>
#include <zmq.hpp>

#include "base/env.h"
#include "base/file_descriptor.h"
#include "cluster/transport.h"

namespace halcyon::cluster {
namespace {

constexpr int kQueuedMessagesMax = 10'000;  // for one peer, to be sent
// For one peer, received and not yet taken: a peer that sends faster than it is read waits. With
// kMessageBytesMax this bounds what a peer can make ZeroMQ hold.
constexpr int kReceivedMessagesMax = 32;
// How long closing a transport may wait for what is still queued: enough for a worker's last
// messages on an overloaded machine.
constexpr int kLingerMs = 5000;

constexpr std::string_view kIpcScheme = "ipc://";

absl::Status ZmqStatus(const zmq::error_t& error, const std::string& what) {
  return Internal(what + ": " + error.what());
}

// A socket file, reached through its open folder: the address of a local socket has at most 107
// bytes, the path of a state folder may have more. ZeroMQ uses the address whenever it connects
// again, so this outlives the socket.
class SocketFile {
 public:
  static absl::StatusOr<SocketFile> Open(const std::string& endpoint) {
    if (!endpoint.starts_with(kIpcScheme)) {
      return InvalidArgument("endpoint " + endpoint + " is not of the form ipc:///path");
    }
    const std::string path = endpoint.substr(kIpcScheme.size());
    ASSIGN_OR_RETURN(FileDescriptor folder,
                     FileDescriptor::Open(DirName(path), O_PATH | O_DIRECTORY), "socket " + path);
    return SocketFile(std::move(folder), path);
  }
  const std::string& path() const { return path_; }
  // The endpoint for ZeroMQ; of this process alone.
  std::string Address() const {
    return std::string(kIpcScheme) + "/proc/self/fd/" + std::to_string(folder_.get()) + "/" +
           BaseName(path_);
  }

 private:
  SocketFile(FileDescriptor folder, std::string path)
      : folder_(std::move(folder)), path_(std::move(path)) {}
  FileDescriptor folder_;
  std::string path_;
};

std::string RoutingId(const WorkerId& worker) {
  return worker.name + ":" + std::to_string(worker.incarnation);
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
  }
  zmq::socket_t& socket() { return socket_; }

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
          return Unavailable("the peer does not read its messages: " +
                             std::to_string(kQueuedMessagesMax) + " are queued for it");
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
      zmq::pollitem_t item{socket_.handle(), 0, ZMQ_POLLIN, 0};
      if (zmq::poll(&item, 1, std::chrono::milliseconds(timeout_ms)) == 0) return parts;
      zmq::message_t part;
      const auto receive = [&] { return socket_.recv(part, zmq::recv_flags::dontwait); };
      while ((parts.empty() || part.more()) && RetryInterrupted(receive)) {
        parts.push_back(part.to_string());
      }
    } catch (const zmq::error_t& error) {
      if (error.num() != EINTR) return ZmqStatus(error, "cannot receive a message");
    }
    return parts;
  }

 private:
  zmq::context_t context_;
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
  ZmqServer(std::string endpoint, SocketFile file)
      : endpoint_(std::move(endpoint)),
        file_(std::move(file)),
        connection_(zmq::socket_type::router) {
    // Off is ZeroMQ's default and what we rely on: a second process with the identity of a worker
    // that is still connected must not take its place.
    connection_.socket().set(zmq::sockopt::router_handover, false);
  }

  absl::Status Bind() {
    connection_.socket().bind(file_.Address());  // replaces a socket file left behind
    if (chmod(file_.path().c_str(), 0600) != 0) {
      return ErrnoStatus(errno, "cannot protect " + file_.path());
    }
    return absl::OkStatus();
  }

  absl::Status Send(const Message& message) override {
    return connection_.Send({RoutingId(message.worker), Encode(message)});
  }

  absl::StatusOr<std::optional<Message>> Receive(int64_t timeout_ms) override {
    ASSIGN_OR_RETURN(const auto parts, connection_.Receive(timeout_ms));
    if (parts.empty()) return std::nullopt;
    if (parts.size() != 2) {
      spdlog::warn("dropped: a message of {} parts", parts.size());
      return std::nullopt;
    }
    std::optional<Message> message = DecodeOrDrop(parts[1]);
    if (message.has_value() && RoutingId(message->worker) != parts[0]) {
      spdlog::warn("dropped: {} sent a message in the name of {}", parts[0],
                   RoutingId(message->worker));
      return std::nullopt;
    }
    return message;
  }

  const std::string& endpoint() const override { return endpoint_; }

 private:
  std::string endpoint_;
  SocketFile file_;
  ZmqSocket connection_;
};

class ZmqClient : public ClientTransport {
 public:
  ZmqClient(SocketFile file, const WorkerId& self)
      : file_(std::move(file)), connection_(zmq::socket_type::dealer) {
    connection_.socket().set(zmq::sockopt::routing_id, RoutingId(self));
  }
  void Connect() { connection_.socket().connect(file_.Address()); }

  absl::Status Send(const Message& message) override { return connection_.Send({Encode(message)}); }

  absl::StatusOr<std::optional<Message>> Receive(int64_t timeout_ms) override {
    ASSIGN_OR_RETURN(const auto parts, connection_.Receive(timeout_ms));
    if (parts.empty()) return std::nullopt;
    return DecodeOrDrop(parts.back());
  }

 private:
  SocketFile file_;
  ZmqSocket connection_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ServerTransport>> BindZmq(const std::string& endpoint) {
  ASSIGN_OR_RETURN(SocketFile file, SocketFile::Open(endpoint));
  try {
    auto server = std::make_unique<ZmqServer>(endpoint, std::move(file));
    RETURN_IF_ERROR(server->Bind());
    return server;
  } catch (const zmq::error_t& error) {
    return ZmqStatus(error, "cannot listen at " + endpoint);
  }
}

absl::StatusOr<std::unique_ptr<ClientTransport>> ConnectZmq(const std::string& endpoint,
                                                            const WorkerId& self) {
  ASSIGN_OR_RETURN(SocketFile file, SocketFile::Open(endpoint));
  try {
    auto client = std::make_unique<ZmqClient>(std::move(file), self);
    client->Connect();
    return client;
  } catch (const zmq::error_t& error) {
    return ZmqStatus(error, "cannot connect to " + endpoint);
  }
}

}  // namespace halcyon::cluster
