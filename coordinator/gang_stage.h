// Runs a stage that a gang of ranks trains: launches it, follows it, launches it again when it
// fails (it resumes from its last checkpoint), and tells it to save and end when the job must stop.
#ifndef HALCYON_COORDINATOR_GANG_STAGE_H_
#define HALCYON_COORDINATOR_GANG_STAGE_H_

#include "cluster/messages.h"
#include "coordinator/stage_outcome.h"
#include "coordinator/task_stage.h"

namespace halcyon::coordinator {

// kAborted when told to stop; the message says what was saved. A failure that EndsJob is returned
// at once; others after launch.restarts_max launches more without a checkpoint between them, as
// kInternal.
absl::StatusOr<StageOutcome> RunGangStage(const StageTools& tools, ProcessRegistry* registry,
                                          cluster::StageAssignment assignment);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_GANG_STAGE_H_
