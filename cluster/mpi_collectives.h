// Collectives over MPI. A target of its own, so that `halcyon` links no MPI.
#ifndef HALCYON_CLUSTER_MPI_COLLECTIVES_H_
#define HALCYON_CLUSTER_MPI_COLLECTIVES_H_

#include <cstddef>
#include <memory>

#include "base/status.h"
#include "cluster/collective_queue.h"
#include "cluster/collectives.h"
#include "cluster/exchange_group.h"

namespace halcyon::cluster {

struct MpiOptions {
  // Of one MPI call, at least 8; MPI counts in int.
  size_t call_bytes_max = kCallBytesMax;
  // For tests: takes this many consecutive ranks for a node; 0: asks MPI which share memory.
  int ranks_per_node = 0;
  QueueOptions queue = {};
};

// kFailedPrecondition: HALCYON_RANKS (cluster/launcher.h) names another number of ranks than MPI
// has brought together: what started them does not work with this MPI, and each is alone.
//
// MPI_Init on construction, MPI_Finalize on destruction: once a process. Only the queue's thread
// calls MPI. Finalizing waits for the other ranks, so a rank that has failed ends its process
// (_exit with a non-zero code) instead of destroying this; mpirun then ends the others.
absl::StatusOr<std::unique_ptr<Collectives>> MakeMpiCollectives(const MpiOptions& options = {});

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_MPI_COLLECTIVES_H_
