// The stages that fill a RocksDB cache shard by shard: tokens and latents.
#ifndef HALCYON_COORDINATOR_CACHE_STAGE_H_
#define HALCYON_COORDINATOR_CACHE_STAGE_H_

#include <vector>

#include "coordinator/stage_outcome.h"
#include "coordinator/task_stage.h"

namespace halcyon::coordinator {

// The tasks of the stage, in shard order. tokens: reads the sources once.
// kInvalidArgument: no source has any document; kFailedPrecondition: a source's bytes are not those
// of the fingerprint.
absl::StatusOr<std::vector<StageTask>> PlanCacheTasks(const StageTools& tools,
                                                      const cluster::StageAssignment& assignment);

// Makes what is missing of the cache, then publishes it into `publish_dir` + "/generation".
absl::StatusOr<StageOutcome> RunCacheStage(const StageTools& tools,
                                           const cluster::StageAssignment& assignment,
                                           const std::string& publish_dir);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_CACHE_STAGE_H_
