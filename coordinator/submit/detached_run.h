// `halcyon run` as a process that outlives the one that starts it.
#ifndef HALCYON_COORDINATOR_SUBMIT_DETACHED_RUN_H_
#define HALCYON_COORDINATOR_SUBMIT_DETACHED_RUN_H_

#include <map>
#include <string>

#include "base/env.h"
#include "base/status.h"
#include "cluster/process.h"
#include "coordinator/submit/submission.h"
#include "storage/home.h"

namespace halcyon::coordinator {

// Its output goes to run.log in the job's logs. REQUIRES: the submission is recorded.
absl::StatusOr<cluster::ProcessIdentity> StartDetachedRun(
    const storage::HomeLayout& home, const Submission& submission,
    const std::map<std::string, std::string>& env);

// What it said last: the error of a run that could not begin; "" when it said nothing.
std::string LastLineOfDetachedRun(Env& env, const storage::HomeLayout& home,
                                  const std::string& job_id);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_SUBMIT_DETACHED_RUN_H_
