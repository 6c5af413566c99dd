// `halcyon rm`: a job's folder, and the artifacts and work folders that only it used.
#ifndef HALCYON_COORDINATOR_HOUSEKEEPING_REMOVE_JOB_H_
#define HALCYON_COORDINATOR_HOUSEKEEPING_REMOVE_JOB_H_

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/env.h"
#include "base/status.h"
#include "coordinator/housekeeping/removal.h"
#include "storage/home.h"
#include "storage/lease.h"

namespace halcyon::coordinator {

// Takes the job, as a run does, so that none can begin meanwhile. kInvalidArgument while one runs.
absl::StatusOr<std::shared_ptr<storage::Lease>> TakeJob(Env& env, Clock& clock,
                                                        const storage::HomeLayout& home,
                                                        const std::string& job_id);

// The job's id for an id or a name without its digits. kNotFound; kInvalidArgument when several
// jobs have the name.
absl::StatusOr<std::string> ResolveJob(Env& env, const storage::HomeLayout& home,
                                       const std::string& id_or_name);

// What Remove then removes: the job's folder last. Changes nothing. kInvalidArgument while a worker
// of the job still runs; kDataLoss as UseOfAllJobs. REQUIRES for Remove: TakeJob.
absl::StatusOr<RemovalPlan> PlanRemoval(Env& env, const storage::HomeLayout& home,
                                        const std::string& job_id);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_HOUSEKEEPING_REMOVE_JOB_H_
