// Collectives without MPI, among ranks that something else has started (external_world.h): they
// find each other by a Bootstrap, and exchange bytes over a PeerMesh. Each rank sends to each
// other; sums are in rank order, so the results have the bits of MakeMpiCollectives.
#ifndef HALCYON_CLUSTER_PEER_COLLECTIVES_H_
#define HALCYON_CLUSTER_PEER_COLLECTIVES_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "cluster/bootstrap.h"
#include "cluster/collective_queue.h"
#include "cluster/collectives.h"
#include "cluster/curve_keys.h"
#include "cluster/exchange_group.h"

namespace halcyon::cluster {

// From the first rank's address to all connections.
inline constexpr int64_t kMeshMsMax = 60'000;

struct PeerOptions {
  int rank = 0, size = 1;
  CurveKeyPair keys;                      // of the job's workers
  std::string master_address;             // where this rank reaches rank 0: a name or a number
  std::string node;                       // equal on ranks that share a node
  size_t call_bytes_max = kCallBytesMax;  // of one message, at least 8
  int64_t connect_ms_max = kMeshMsMax;
  QueueOptions queue = {};
};

// Where a rank reaches another one. `own` and `peer` are the addresses by which each reaches rank
// 0. One that does so over loopback (some launchers give rank 0 MASTER_ADDR=localhost) is on rank
// 0's host: others reach it where they reach rank 0.
absl::StatusOr<std::string> AddressOfPeer(const std::string& own, const std::string& peer, int port,
                                          const std::string& master_address);

// `make_bootstrap` is called by the thread that runs the collectives; the bootstrap is destroyed
// when all ranks are connected. kUnavailable: a rank cannot be reached within connect_ms_max, by
// name. Destroying the collectives waits for nobody.
absl::StatusOr<std::unique_ptr<Collectives>> MakePeerCollectives(
    std::function<absl::StatusOr<std::unique_ptr<Bootstrap>>()> make_bootstrap,
    const PeerOptions& options);

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_PEER_COLLECTIVES_H_
