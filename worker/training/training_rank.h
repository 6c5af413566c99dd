// A training rank: one process of the gang that mpirun starts for a training stage.
#ifndef HALCYON_WORKER_TRAINING_TRAINING_RANK_H_
#define HALCYON_WORKER_TRAINING_TRAINING_RANK_H_

#include <cstdint>
#include <string>

#include "base/status.h"
#include "worker/membership.h"

namespace halcyon::worker {

// `options.name` and `options.log_path` are prefixes: "-RANK" is appended. Trains the stage that
// the coordinator's Welcome names, from its last good checkpoint, and reports the result. Ends the
// process on failure, since the other ranks may be inside a collective.
absl::Status RunTrainingRank(WorkerOptions options, uint32_t threads);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TRAINING_TRAINING_RANK_H_
