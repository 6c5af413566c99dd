// Runs a stage that a gang of ranks trains: launches it, follows it, launches it again when it
// fails (it resumes from its last checkpoint), and tells it to save and end when the job must stop.
#ifndef HALCYON_COORDINATOR_GANG_STAGE_H_
#define HALCYON_COORDINATOR_GANG_STAGE_H_

#include "cluster/messages.h"
#include "coordinator/stage_outcome.h"
#include "coordinator/task_stage.h"

namespace halcyon::coordinator {

// Times that a gang is given; past them it is killed and launched again.
inline constexpr int64_t kGangStartMsMax = 120000;  // until every rank has said Hello
inline constexpr int64_t kGangStopMsMax = 30000;    // to save and end after Stop
inline constexpr int64_t kGangEndMsMax = 30000;     // for the others after one rank has failed

// kAborted when told to stop. A failure that EndsJob is returned at once; others after
// launch.restarts_max launches more, as kInternal, naming the log.
absl::StatusOr<StageOutcome> RunGangStage(const StageTools& tools, ProcessRegistry* registry,
                                          const cluster::StageAssignment& assignment);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_GANG_STAGE_H_
