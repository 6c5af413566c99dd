#include "cluster/peer_mesh.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <zmq.hpp>

#include "base/check.h"
#include "base/clock.h"
#include "base/terminal_text.h"
#include "cluster/zap_handler.h"

namespace halcyon::cluster {
namespace {

constexpr int64_t kMeshPollMs = 100;
// Frames for, and of, one rank: it is at most one exchange ahead of the others.
constexpr int kQueuedFramesMax = 32;
constexpr int kMeshLingerMs = 5000;
constexpr int kMeshHandshakeMsMax = 10'000;
constexpr int kKeepAliveIdleS = 30, kKeepAliveIntervalS = 10, kKeepAliveProbes = 6;
static_assert(1000 * (kKeepAliveIdleS + kKeepAliveProbes * kKeepAliveIntervalS) == kSilentMsMax);
// All ranks connect to one at the same time.
constexpr int kPeerBacklog = 4096;
// The two directions between two ranks have a connection each: what a rank sent before it ended
// may come in after the end of the other one is seen.
constexpr int64_t kLastMessagesMs = 2000;
constexpr char kMonitor[] = "inproc://peers-monitor";

// The first frame of a message behind its sender; both ends are of one build.
struct Header {
  uint64_t number = 0;  // 1, 2, ... from one rank to another
  MessageTag tag;
};

struct Received {
  Header header;
  zmq::message_t bytes;
};

struct Peer {
  std::deque<Received> inbox;
  uint64_t sent = 0, taken = 0;  // numbers
  std::optional<int64_t> ended_ms;

  bool has_sent() const { return taken > 0 || !inbox.empty(); }
};

std::string RankRoutingId(int rank) { return std::to_string(rank); }

absl::Status MeshStatus(const zmq::error_t& error, const std::string& what) {
  return Internal(what + ": " + error.what());
}

class ZmqMesh final : public PeerMesh {
 public:
  explicit ZmqMesh(const MeshOptions& options)
      : options_(options),
        peers_(options.size),
        in_(context_, zmq::socket_type::router),
        out_(context_, zmq::socket_type::router),
        monitor_(context_, zmq::socket_type::pair) {}

  ~ZmqMesh() override {
    // What is queued for ranks that never came is not waited for. One that has sent something is
    // there, even if the connection to it is only being made.
    const bool any_came = std::ranges::any_of(peers_, &Peer::has_sent);
    if (connected_.empty() && !any_came) out_.set(zmq::sockopt::linger, 0);
  }

  absl::Status Listen() {
    ASSIGN_OR_RETURN(zap_, ZapHandler::Start(context_.handle(), {options_.keys.public_key}));
    for (zmq::socket_t* socket : {&in_, &out_}) {
      socket->set(zmq::sockopt::linger, kMeshLingerMs);
      socket->set(zmq::sockopt::sndhwm, kQueuedFramesMax);
      socket->set(zmq::sockopt::rcvhwm, kQueuedFramesMax);
      socket->set(zmq::sockopt::maxmsgsize, static_cast<int64_t>(options_.message_bytes_max));
      socket->set(zmq::sockopt::handshake_ivl, kMeshHandshakeMsMax);
      socket->set(zmq::sockopt::ipv6, true);
      socket->set(zmq::sockopt::backlog, kPeerBacklog);
      socket->set(zmq::sockopt::tcp_keepalive, 1);
      socket->set(zmq::sockopt::tcp_keepalive_idle, kKeepAliveIdleS);
      socket->set(zmq::sockopt::tcp_keepalive_intvl, kKeepAliveIntervalS);
      socket->set(zmq::sockopt::tcp_keepalive_cnt, kKeepAliveProbes);
      socket->set(zmq::sockopt::tcp_maxrt, static_cast<int>(kSilentMsMax));
      socket->set(zmq::sockopt::curve_secretkey, options_.keys.secret_key);
    }
    in_.set(zmq::sockopt::zap_domain, kZapDomain);
    in_.set(zmq::sockopt::curve_server, true);
    in_.bind("tcp://*:*");
    const std::string endpoint = in_.get(zmq::sockopt::last_endpoint);
    const char* digits = endpoint.data() + endpoint.rfind(':') + 1;
    std::from_chars(digits, endpoint.data() + endpoint.size(), port_);
    out_.set(zmq::sockopt::routing_id, RankRoutingId(options_.rank));
    out_.set(zmq::sockopt::router_mandatory, true);  // nothing is dropped silently
    out_.set(zmq::sockopt::curve_publickey, options_.keys.public_key);
    out_.set(zmq::sockopt::curve_serverkey, options_.keys.public_key);
    if (zmq_socket_monitor(out_.handle(), kMonitor,
                           ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED) != 0) {
      return Internal(std::string("cannot watch connections: ") + zmq_strerror(zmq_errno()));
    }
    monitor_.connect(kMonitor);
    return absl::OkStatus();
  }

  int port() const override { return port_; }

  absl::Status Connect(const std::vector<std::string>& addresses) override {
    HALCYON_CHECK(addresses.size() == peers_.size());
    try {
      for (int rank = 0; rank < options_.size; ++rank) {
        if (rank == options_.rank) continue;
        const std::string endpoint = "tcp://" + addresses[rank];
        rank_at_[endpoint] = rank;
        out_.set(zmq::sockopt::connect_routing_id, RankRoutingId(rank));
        out_.connect(endpoint);
      }
    } catch (const zmq::error_t& error) {
      return MeshStatus(error, "cannot connect to the other ranks");
    }
    return absl::OkStatus();
  }

  absl::Status Send(std::span<const int> to, MessageTag tag, std::string_view bytes,
                    const WaitCheck& check) override {
    absl::Status status;
    try {
      zmq::message_t shared(bytes.data(), bytes.size());
      for (const int rank : to) {
        Peer& peer = peers_[rank];
        absl::Status addressed = peer.ended_ms ? Ended() : Address(rank, check);
        if (!addressed.ok()) {
          status.Update(addressed);
          continue;
        }
        const Header header{++peer.sent, tag};
        out_.send(zmq::buffer(&header, sizeof(header)), zmq::send_flags::sndmore);
        zmq::message_t copy;
        copy.copy(shared);
        out_.send(copy, zmq::send_flags::none);
      }
    } catch (const zmq::error_t& error) {
      return MeshStatus(error, "cannot send to the other ranks");
    }
    return status;
  }

  absl::Status Receive(int from, MessageTag tag, std::span<char> out,
                       const WaitCheck& check) override {
    Peer& peer = peers_[from];
    try {
      TakeIn(/*timeout_ms=*/0);
      while (peer.inbox.empty()) {
        const int64_t now_ms = Clock::Real()->MonotonicMs();
        if (peer.ended_ms && now_ms - *peer.ended_ms > kLastMessagesMs) return Ended();
        RETURN_IF_ERROR(check());
        TakeIn(kMeshPollMs);
      }
    } catch (const zmq::error_t& error) {
      return MeshStatus(error, "cannot receive from the other ranks");
    }
    const Received received = std::move(peer.inbox.front());
    peer.inbox.pop_front();
    if (received.header.number != ++peer.taken) {
      return Internal(fmt::format("message {} of rank {} was lost", peer.taken, from));
    }
    if (received.header.tag != tag || received.bytes.size() != out.size()) {
      return Internal(fmt::format(
          "rank {} is in another exchange: of kind {}, group {} and {} bytes, here of kind {}, "
          "group {} and {} bytes",
          from, received.header.tag.kind, received.header.tag.group, received.bytes.size(),
          tag.kind, tag.group, out.size()));
    }
    if (!out.empty()) std::memcpy(out.data(), received.bytes.data(), out.size());
    return absl::OkStatus();
  }

 private:
  // Names the rank that ended first: the others may have ended because of it.
  absl::Status Ended() const {
    return Unavailable(
        fmt::format("rank {} has ended, or the connection to it is broken", *first_ended_));
  }

  void NoteEnd(int rank) {
    if (!first_ended_) first_ended_ = rank;
    std::optional<int64_t>& ended_ms = peers_[rank].ended_ms;
    if (!ended_ms) ended_ms = Clock::Real()->MonotonicMs();
  }

  // Begins a message to the rank.
  absl::Status Address(int rank, const WaitCheck& check) {
    const std::string id = RankRoutingId(rank);
    while (zmq_send(out_.handle(), id.data(), id.size(), ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
      if (zmq_errno() == EHOSTUNREACH) {
        NoteEnd(rank);
        return Ended();
      }
      if (zmq_errno() == EINTR) continue;
      if (zmq_errno() != EAGAIN) throw zmq::error_t();
      RETURN_IF_ERROR(check());
      // The rank may be waiting for room here.
      TakeIn(kMeshPollMs);
    }
    return absl::OkStatus();
  }

  // Takes in what has come, waiting for something to come.
  void TakeIn(int64_t timeout_ms) {
    zmq::pollitem_t items[] = {{in_.handle(), 0, ZMQ_POLLIN, 0},
                               {monitor_.handle(), 0, ZMQ_POLLIN, 0},
                               {zap_->socket(), 0, ZMQ_POLLIN, 0}};
    try {
      if (zmq::poll(items, std::size(items), std::chrono::milliseconds(timeout_ms)) == 0) return;
    } catch (const zmq::error_t& error) {
      if (error.num() == EINTR) return;
      throw;
    }
    zap_->Serve();
    while (TakeMessage()) {
    }
    while (TakeConnectionEvent()) {
    }
  }

  bool TakeMessage() {
    std::vector<zmq::message_t> frames;
    do {
      zmq::message_t frame;
      if (!in_.recv(frame, zmq::recv_flags::dontwait)) return false;
      frames.push_back(std::move(frame));
    } while (frames.back().more());
    const std::string sender = frames[0].to_string();
    int rank = -1;
    std::from_chars(sender.data(), sender.data() + sender.size(), rank);
    if (frames.size() != 3 || frames[1].size() != sizeof(Header) || rank < 0 ||
        rank >= options_.size || sender != RankRoutingId(rank)) {
      spdlog::warn("dropped: a message of {} frames of \"{}\", which is no rank here",
                   frames.size(), EscapeForTerminal(sender));
      return true;
    }
    Received received;
    std::memcpy(&received.header, frames[1].data(), sizeof(Header));
    received.bytes = std::move(frames[2]);
    peers_[rank].inbox.push_back(std::move(received));
    return true;
  }

  bool TakeConnectionEvent() {
    zmq::message_t event, address;
    if (!monitor_.recv(event, zmq::recv_flags::dontwait)) return false;
    if (!monitor_.recv(address, zmq::recv_flags::none)) return false;
    uint16_t kind = 0;
    std::memcpy(&kind, event.data(), sizeof(kind));
    const auto found = rank_at_.find(address.to_string());
    if (found == rank_at_.end()) return true;
    if (kind == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
      connected_[found->second] = true;
    } else if (connected_[found->second]) {
      NoteEnd(found->second);
    }
    return true;
  }

  const MeshOptions options_;
  int port_ = 0;
  std::vector<Peer> peers_;             // by rank
  std::map<std::string, int> rank_at_;  // by endpoint
  std::map<int, bool> connected_;       // ranks that have been
  std::optional<int> first_ended_;
  zmq::context_t context_;
  std::unique_ptr<ZapHandler> zap_;
  zmq::socket_t in_, out_, monitor_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<PeerMesh>> MakePeerMesh(const MeshOptions& options) {
  HALCYON_CHECK(options.rank >= 0 && options.rank < options.size && options.message_bytes_max > 0);
  try {
    auto mesh = std::make_unique<ZmqMesh>(options);
    RETURN_IF_ERROR(mesh->Listen());
    return mesh;
  } catch (const zmq::error_t& error) {
    return MeshStatus(error, "cannot listen for the other ranks");
  }
}

}  // namespace halcyon::cluster
