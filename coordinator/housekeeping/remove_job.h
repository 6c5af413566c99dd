// `halcyon rm`: a job's folder, and the artifacts and work folders that only it used.
#ifndef HALCYON_COORDINATOR_HOUSEKEEPING_REMOVE_JOB_H_
#define HALCYON_COORDINATOR_HOUSEKEEPING_REMOVE_JOB_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/env.h"
#include "base/status.h"
#include "coordinator/housekeeping/job_use.h"
#include "storage/home.h"
#include "storage/lease.h"

namespace halcyon::coordinator {

struct RemovedPath {
  std::string path;
  uint64_t bytes = 0;
  StageKey stage;           // of an artifact or a work folder
  std::string fingerprint;  // of an artifact: the whole one
};
struct KeptPath {
  std::string path;
  std::string needed_by;  // "job quick-1", "model 9c1185a5c5e9fc54"; or why it stays
};

struct RemovalPlan {
  std::string job_id;
  std::vector<RemovedPath> removed;  // in the order of removal: what is made from others first
  std::vector<KeptPath> kept;        // what the job used and another job needs
  uint64_t bytes_freed = 0;
};

// Takes the job, as a run does, so that none can begin meanwhile. kInvalidArgument while one runs.
absl::StatusOr<std::shared_ptr<storage::Lease>> TakeJob(Env& env, Clock& clock,
                                                        const storage::HomeLayout& home,
                                                        const std::string& job_id);

// The job's id for an id or a name without its digits. kNotFound; kInvalidArgument when several
// jobs have the name.
absl::StatusOr<std::string> ResolveJob(Env& env, const storage::HomeLayout& home,
                                       const std::string& id_or_name);

// Changes nothing. kInvalidArgument while a worker of the job still runs; kDataLoss when a job's
// journal and status both cannot be read: then it is not known what it uses.
absl::StatusOr<RemovalPlan> PlanRemoval(Env& env, const storage::HomeLayout& home,
                                        const std::string& job_id);

// May be cut short at any moment; planning and removing again then finishes it. What is half
// removed never passes for an artifact.
// A stage that another job is making by now stays, and moves to `kept`. REQUIRES: TakeJob.
absl::Status Remove(Env& env, Clock& clock, const storage::HomeLayout& home, RemovalPlan* plan);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_HOUSEKEEPING_REMOVE_JOB_H_
