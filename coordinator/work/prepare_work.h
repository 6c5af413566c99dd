// Before a stage is made: its work folder, with the record of what is made there, and the newest
// checkpoint of earlier work that it may go on from (coordinator/work/continuation.h).
#ifndef HALCYON_COORDINATOR_WORK_PREPARE_WORK_H_
#define HALCYON_COORDINATOR_WORK_PREPARE_WORK_H_

#include "base/status.h"
#include "cluster/messages.h"
#include "coordinator/job_context.h"
#include "coordinator/notes.h"
#include "jobs/stage_identity.h"

namespace halcyon::coordinator {

// Notes what the stage goes on from, and what work of other settings is kept unused. A damaged
// checkpoint is skipped, with a note, for the one before it. May be cut short at any moment and
// called again. With from_scratch the stage starts at its beginning. REQUIRES: no rank of the stage
// runs.
absl::Status PrepareWork(const JobContext& context, const jobs::StageIdentity& identity,
                         const cluster::StageAssignment& assignment, Notes* notes);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_WORK_PREPARE_WORK_H_
