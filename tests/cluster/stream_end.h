// One end of a connection, in the hands of a test: numbers what it sends and acknowledges what it
// receives, as cluster/coordinator_link.h and coordinator/worker_channel.h do.
#ifndef HALCYON_TESTS_CLUSTER_STREAM_END_H_
#define HALCYON_TESTS_CLUSTER_STREAM_END_H_

#include <optional>
#include <utility>

#include "cluster/reliable_stream.h"
#include "cluster/transport.h"

namespace halcyon::cluster {

// Transport: ServerTransport or ClientTransport, which must outlive it. Repeats nothing.
template <typename Transport>
class StreamEnd {
 public:
  StreamEnd(Transport* transport, JobId job, WorkerId worker, Incarnation incarnation)
      : transport_(transport), address_{std::move(job), std::move(worker), incarnation, Body{}} {}

  absl::Status Send(Body body) {
    Message message = address_;
    message.body = std::move(body);
    // Without waiting for acknowledgements, as a peer that does not keep to the protocol.
    if (IsSequenced(message.body)) message.sequence = ++sent_;
    message.acknowledged = stream_.received();
    return transport_->Send(message);
  }

  // As of the transport; nullopt also for one that came before.
  absl::StatusOr<std::optional<Message>> Receive(int64_t timeout_ms) {
    ASSIGN_OR_RETURN(std::optional<Message> message, transport_->Receive(timeout_ms));
    if (!message || !stream_.Accept(*message, /*now_ms=*/0)) return std::nullopt;
    return message;
  }

 private:
  Transport* transport_;
  Message address_;
  ReliableStream stream_;
  uint64_t sent_ = 0;
};

}  // namespace halcyon::cluster

#endif  // HALCYON_TESTS_CLUSTER_STREAM_END_H_
