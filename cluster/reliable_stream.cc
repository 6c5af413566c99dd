#include "cluster/reliable_stream.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace halcyon::cluster {

void ReliableStream::Queue(Body body) {
  HALCYON_CHECK(IsSequenced(body));
  outgoing_.push_back({++queued_, std::move(body)});
}

const ReliableStream::Outgoing* ReliableStream::Due() const {
  if (in_flight_ >= std::min(outgoing_.size(), kInFlightMax)) return nullptr;
  return &outgoing_[in_flight_];
}

void ReliableStream::Sent(int64_t now_ms) {
  HALCYON_CHECK(in_flight_ < outgoing_.size());
  if (in_flight_ == 0) moved_ms_ = now_ms;
  sent_ = std::max(sent_, outgoing_[in_flight_].sequence);
  ++in_flight_;
}

std::vector<Body> ReliableStream::Unacknowledged() const {
  std::vector<Body> bodies;
  for (const Outgoing& one : outgoing_) bodies.push_back(one.body);
  return bodies;
}

bool ReliableStream::Accept(const Message& message, int64_t now_ms) {
  Acknowledge(message.acknowledged, now_ms);
  if (!IsSequenced(message.body)) return true;
  if (message.sequence != received_ + 1) return false;
  ++received_;
  return true;
}

void ReliableStream::Acknowledge(uint64_t acknowledged, int64_t now_ms) {
  if (acknowledged > sent_) return;  // of what was never sent: the peer is in error
  bool moved = false;
  while (!outgoing_.empty() && outgoing_.front().sequence <= acknowledged) {
    outgoing_.pop_front();
    if (in_flight_ > 0) --in_flight_;
    moved = true;
  }
  if (!moved && (in_flight_ == 0 || now_ms - moved_ms_ < kResendAfterMs)) return;
  if (!moved) in_flight_ = 0;
  moved_ms_ = now_ms;
}

}  // namespace halcyon::cluster
