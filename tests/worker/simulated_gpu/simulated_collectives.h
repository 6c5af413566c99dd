// Collectives on the memory of the simulated GPU, over those of the host.
#ifndef HALCYON_TESTS_WORKER_SIMULATED_GPU_SIMULATED_COLLECTIVES_H_
#define HALCYON_TESTS_WORKER_SIMULATED_GPU_SIMULATED_COLLECTIVES_H_

#include <memory>

#include "cluster/collectives.h"

namespace halcyon::worker {

// Aborts when a buffer lies on the host. `host` outlives the result.
std::unique_ptr<cluster::Collectives> MakeSimulatedCollectives(cluster::Collectives* host);

}  // namespace halcyon::worker

#endif  // HALCYON_TESTS_WORKER_SIMULATED_GPU_SIMULATED_COLLECTIVES_H_
