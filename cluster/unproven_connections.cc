#include "cluster/unproven_connections.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <zmq.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "base/clock.h"
#include "base/open_files.h"

namespace halcyon::cluster {
namespace {

constexpr char kMonitorEndpoint[] = "inproc://halcyon.monitor";
constexpr size_t kConnectionsMax = 4096;
constexpr int64_t kWarnEveryMs = 60'000;
constexpr size_t kEventBytes = sizeof(uint16_t) + sizeof(uint32_t);

absl::Status MonitorStatus(const char* what) {
  return Internal(std::string("cannot ") + what +
                  " the monitor of connections: " + zmq_strerror(zmq_errno()));
}

}  // namespace

size_t UnprovenConnectionsMax() { return std::min<size_t>(kConnectionsMax, OpenFilesLimit() / 4); }

absl::StatusOr<std::unique_ptr<UnprovenConnections>> UnprovenConnections::Start(void* zmq_context,
                                                                                void* zmq_socket) {
  if (zmq_socket_monitor(zmq_socket, kMonitorEndpoint,
                         ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED) != 0) {
    return MonitorStatus("start");
  }
  void* monitor = ::zmq_socket(zmq_context, ZMQ_PAIR);
  if (monitor == nullptr) return MonitorStatus("make");
  std::unique_ptr<UnprovenConnections> connections(new UnprovenConnections(monitor));
  // Without a limit: at one, ZeroMQ's thread would wait for this one, also when the socket is being
  // closed and nobody reads here.
  const int zero = 0;
  zmq_setsockopt(monitor, ZMQ_RCVHWM, &zero, sizeof(zero));
  zmq_setsockopt(monitor, ZMQ_LINGER, &zero, sizeof(zero));
  if (zmq_connect(monitor, kMonitorEndpoint) != 0) return MonitorStatus("reach");
  return connections;
}

UnprovenConnections::~UnprovenConnections() { zmq_close(monitor_); }

void UnprovenConnections::Serve() {
  // All of them: a descriptor that is closed here must be one of now.
  while (TakeEvent()) continue;
  if (unproven_.size() > UnprovenConnectionsMax()) CloseOldest();
}

// An event is a frame with its number and its value, and one with the address.
bool UnprovenConnections::TakeEvent() {
  uint8_t bytes[kEventBytes];
  int size = 0;
  do {
    size = zmq_recv(monitor_, bytes, sizeof(bytes), ZMQ_DONTWAIT);
  } while (size < 0 && zmq_errno() == EINTR);
  if (size < 0) return false;
  while (zmq_recv(monitor_, nullptr, 0, 0) < 0 && zmq_errno() == EINTR) continue;
  uint16_t event;
  int32_t descriptor;
  std::memcpy(&event, bytes, sizeof(event));
  std::memcpy(&descriptor, bytes + sizeof(event), sizeof(descriptor));
  Drop(descriptor);  // whatever had it before is gone
  if (event != ZMQ_EVENT_ACCEPTED) return true;
  unproven_.emplace(++accepted_, descriptor);
  numbers_.emplace(descriptor, accepted_);
  return true;
}

void UnprovenConnections::Drop(int descriptor) {
  const auto number = numbers_.find(descriptor);
  if (number == numbers_.end()) return;
  unproven_.erase(number->second);
  numbers_.erase(number);
}

void UnprovenConnections::CloseOldest() {
  while (unproven_.size() > UnprovenConnectionsMax()) {
    const int descriptor = unproven_.begin()->second;
    // ZeroMQ's thread finds the end of the connection and closes the descriptor. Should it have
    // done so since and got the number again, that worker connects once more.
    shutdown(descriptor, SHUT_RDWR);
    Drop(descriptor);
    ++closed_;
  }
  const int64_t now_ms = Clock::Real()->MonotonicMs();
  if (warned_ms_ != 0 && now_ms - warned_ms_ < kWarnEveryMs) return;
  warned_ms_ = now_ms;
  spdlog::warn(
      "closed connections of peers that have not proved their keys, {} until now: more than {} at "
      "a time are not kept",
      closed_, UnprovenConnectionsMax());
}

}  // namespace halcyon::cluster
