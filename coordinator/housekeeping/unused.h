// `halcyon cache gc`: the artifacts and work folders that no job uses.
#ifndef HALCYON_COORDINATOR_HOUSEKEEPING_UNUSED_H_
#define HALCYON_COORDINATOR_HOUSEKEEPING_UNUSED_H_

#include <cstdint>

#include "base/clock.h"
#include "base/env.h"
#include "base/status.h"
#include "coordinator/housekeeping/removal.h"
#include "storage/home.h"

namespace halcyon::coordinator {

struct UnusedLimits {
  int64_t changed_before_ms = 0;  // wall time: what was made or written later stays
  uint64_t bytes_max = 0;         // so many bytes of what is unused stay, the newest
};

// What no job's record or status names goes, the oldest first, unless something that stays was made
// from it. Changes nothing. Errors as UseOfAllJobs.
absl::StatusOr<RemovalPlan> PlanUnused(Env& env, const storage::HomeLayout& home,
                                       const UnusedLimits& limits);

// Remove, but for what a job has begun to use since the plan was made: that moves to `kept`. A
// process that has opened an artifact reads on, where the file system lets it.
absl::Status RemoveUnused(Env& env, Clock& clock, const storage::HomeLayout& home,
                          RemovalPlan* plan);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_HOUSEKEEPING_UNUSED_H_
