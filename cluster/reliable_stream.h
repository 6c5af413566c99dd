// One end of the two streams of messages between a worker and its coordinator. A connection may
// break and be made again, and lose what was under way; over it every message of a stream comes in
// exactly once and in order.
//
// The messages of each direction are numbered 1, 2, ...; each message carries up to which number
// its sender has received all. The receiver takes only the number that is next. The sender keeps
// what is not acknowledged, and sends all of it again when an acknowledgement that comes in has
// stood still for kResendAfterMs; to a peer that sends nothing it repeats nothing. Heartbeats have
// the number 0: they may be lost, and bring the acknowledgements when nothing else is sent.
//
// Both ends begin anew with another worker or another incarnation of the coordinator.
#ifndef HALCYON_CLUSTER_RELIABLE_STREAM_H_
#define HALCYON_CLUSTER_RELIABLE_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "cluster/messages.h"

namespace halcyon::cluster {

// Above the time that an acknowledgement takes: the heartbeat interval and a slow turn of the peer.
inline constexpr int64_t kResendAfterMs = 2500;
// Sent and not acknowledged; what comes behind waits.
inline constexpr size_t kInFlightMax = 1024;

// Pure. Not thread-safe. Times are of one clock that never goes back.
class ReliableStream {
 public:
  struct Outgoing {
    uint64_t sequence = 0;
    Body body;
  };

  // REQUIRES: IsSequenced(body).
  void Queue(Body body);
  // What is to be sent next; nullptr: nothing, or the peer must acknowledge first.
  const Outgoing* Due() const;
  // REQUIRES: Due(); the transport has taken it.
  void Sent(int64_t now_ms);
  size_t unacknowledged() const { return outgoing_.size(); }
  // All that the peer may not have received, in order.
  std::vector<Body> Unacknowledged() const;

  // Takes the acknowledgement in. Whether the message is to be acted upon: it is a heartbeat, or
  // the stream's next one.
  bool Accept(const Message& message, int64_t now_ms);
  // To be sent with every message.
  uint64_t received() const { return received_; }

 private:
  void Acknowledge(uint64_t acknowledged, int64_t now_ms);

  std::deque<Outgoing> outgoing_;
  size_t in_flight_ = 0;  // so many of the first of outgoing_ have been sent
  uint64_t queued_ = 0, sent_ = 0, received_ = 0;
  int64_t moved_ms_ = 0;  // when the acknowledgement last moved, or the first in flight was sent
};

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_RELIABLE_STREAM_H_
