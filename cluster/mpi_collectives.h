// Collectives over MPI. A target of its own, so that `halcyon` links no MPI.
#ifndef HALCYON_CLUSTER_MPI_COLLECTIVES_H_
#define HALCYON_CLUSTER_MPI_COLLECTIVES_H_

#include <memory>

#include "base/status.h"
#include "cluster/collectives.h"

namespace halcyon::cluster {

// MPI_Init on construction, MPI_Finalize on destruction: once a process.
absl::StatusOr<std::unique_ptr<Collectives>> MakeMpiCollectives();

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_MPI_COLLECTIVES_H_
