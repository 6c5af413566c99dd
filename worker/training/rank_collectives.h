// How the ranks of a gang reach each other: by MPI, which has started them, or as an external world
// (cluster/external_world.h).
#ifndef HALCYON_WORKER_TRAINING_RANK_COLLECTIVES_H_
#define HALCYON_WORKER_TRAINING_RANK_COLLECTIVES_H_

#include <memory>

#include "base/status.h"
#include "cluster/collective_queue.h"
#include "cluster/collectives.h"
#include "worker/membership.h"

namespace halcyon::worker {

// Of this process, by its environment. Waits for the other ranks.
absl::StatusOr<std::unique_ptr<cluster::Collectives>> MakeRankCollectives(
    const WorkerOptions& options, const cluster::QueueOptions& queue);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TRAINING_RANK_COLLECTIVES_H_
