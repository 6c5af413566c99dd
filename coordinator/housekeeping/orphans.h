// The ranks and agents of a job whose coordinator is dead: they go on for launch.orphan_grace_s.
#ifndef HALCYON_COORDINATOR_HOUSEKEEPING_ORPHANS_H_
#define HALCYON_COORDINATOR_HOUSEKEEPING_ORPHANS_H_

#include <string>

#include "base/clock.h"
#include "base/env.h"
#include "base/status.h"
#include "storage/home.h"

namespace halcyon::coordinator {

// Whether processes of the job run on this machine. Those on other machines are not seen.
// kPermissionDenied: it is another user's. REQUIRES: no coordinator runs the job, whose workers
// could just be starting: they would take this look for a coordinator that takes over.
absl::StatusOr<bool> HasWorkers(Env& env, const storage::HomeLayout& home,
                                const std::string& job_id);

// Takes the job as a coordinator would, and ends what its earlier one has left: what was saved
// stays. kInvalidArgument: a coordinator runs the job; kFailedPrecondition names processes that do
// not end.
absl::Status EndOrphans(Env& env, Clock& clock, const storage::HomeLayout& home,
                        const std::string& job_id);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_HOUSEKEEPING_ORPHANS_H_
