// Bounds the TCP connections whose peers have not proved that they are workers. ZeroMQ accepts
// every connection and closes it when the handshake has not ended in time; until then each takes a
// descriptor of this process, and whoever reaches the port can open any number. So of too many the
// oldest are closed. A worker proves itself within milliseconds; one that is closed all the same
// connects again.
#ifndef HALCYON_CLUSTER_UNPROVEN_CONNECTIONS_H_
#define HALCYON_CLUSTER_UNPROVEN_CONNECTIONS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <unordered_map>

#include "base/status.h"

namespace halcyon::cluster {

// How many there may be at a time: a quarter of the files that this process may open, at most 4096.
size_t UnprovenConnectionsMax();

// Not thread-safe: of the thread that uses the watched socket.
class UnprovenConnections {
 public:
  // Watches `zmq_socket`, of `zmq_context`, which is bound later and closed before this.
  static absl::StatusOr<std::unique_ptr<UnprovenConnections>> Start(void* zmq_context,
                                                                    void* zmq_socket);
  ~UnprovenConnections();
  UnprovenConnections(const UnprovenConnections&) = delete;
  UnprovenConnections& operator=(const UnprovenConnections&) = delete;

  // ZeroMQ's socket that becomes readable when connections come or go.
  void* socket() const { return monitor_; }
  // Takes in what has changed, then closes what is too many. Call often.
  void Serve();
  // A message has come over the connection with this descriptor: the handshake is behind it.
  void Proved(int descriptor) { Drop(descriptor); }

 private:
  explicit UnprovenConnections(void* monitor) : monitor_(monitor) {}
  // False when there is no event.
  bool TakeEvent();
  void Drop(int descriptor);
  void CloseOldest();

  void* monitor_;
  uint64_t accepted_ = 0;
  // Descriptors by the number of their acceptance, and the other way round.
  std::map<uint64_t, int> unproven_;
  std::unordered_map<int, uint64_t> numbers_;
  uint64_t closed_ = 0;
  int64_t warned_ms_ = 0;
};

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_UNPROVEN_CONNECTIONS_H_
