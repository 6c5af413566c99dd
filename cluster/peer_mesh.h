// Connections between the ranks of a gang that no MPI has brought together: ZeroMQ over TCP, each
// rank to each other, encrypted and authenticated with the job's worker keys (CURVE). Carries
// bytes; peer_collectives.h makes collectives of it.
//
// A rank sends over one socket and receives over another that it listens with. What a rank sends to
// another comes in whole, once and in order, or the receiver gets an error: messages are numbered.
// A connection that was there and ends is not made again. It is the kernel that finds one whose
// other end is silent (keep-alive, kSilentMsMax), so a process that was stopped for a while loses
// none.
#ifndef HALCYON_CLUSTER_PEER_MESH_H_
#define HALCYON_CLUSTER_PEER_MESH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "cluster/curve_keys.h"
#include "cluster/host_group.h"

namespace halcyon::cluster {

// After so long without a sign of the other end's kernel a connection is given up.
inline constexpr int64_t kSilentMsMax = 90'000;

struct MeshOptions {
  int rank = 0, size = 1;
  CurveKeyPair keys;             // of the job's workers; the same on all ranks
  size_t message_bytes_max = 0;  // a peer that sends more is disconnected
};

// What a message is for. A message that comes where another one is expected is an error: ranks have
// then left the order of the collectives.
struct MessageTag {
  uint32_t group = 0;
  uint32_t kind = 0;
  bool operator==(const MessageTag&) const = default;
};

// Used by one thread.
class PeerMesh {
 public:
  // Queued messages are still sent, for a few seconds at most.
  virtual ~PeerMesh() = default;
  // Of this rank, on all interfaces; the system has chosen it.
  virtual int port() const = 0;
  // Where the ranks listen, by rank; this rank's is not used. "10.0.0.3:4711", "[fd00::3]:4711":
  // numbers, no names. Returns at once.
  virtual absl::Status Connect(const std::vector<std::string>& addresses) = 0;
  // Queues the bytes for each of the ranks; copies them once. Waits, asking `check`, when much is
  // queued. kUnavailable: one of the ranks has ended; the others are sent the bytes even then.
  // Names the rank that ended first, which is why the others may have ended.
  virtual absl::Status Send(std::span<const int> to, MessageTag tag, std::string_view bytes,
                            const WaitCheck& check) = 0;
  // Copies the next message of a rank to `out`, which it fills. Waits, asking `check`.
  // kUnavailable: the rank has ended; names the one that ended first. kInternal: the message has
  // another tag or size, or one before it was lost; names the rank.
  virtual absl::Status Receive(int from, MessageTag tag, std::span<char> out,
                               const WaitCheck& check) = 0;
};

// Listens.
absl::StatusOr<std::unique_ptr<PeerMesh>> MakePeerMesh(const MeshOptions& options);

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_PEER_MESH_H_
