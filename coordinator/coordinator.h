// A job from its resolved spec to its artifacts: stage after stage, each reused when an artifact of
// the same identity exists and made otherwise. A stage goes on from what was committed before a
// crash.
//
// The event loop: what happens goes to a pure value (coordinator/run/job_run.h), which answers with
// effects, which the service (coordinator/job_service.h) executes.
#ifndef HALCYON_COORDINATOR_COORDINATOR_H_
#define HALCYON_COORDINATOR_COORDINATOR_H_

#include <map>

#include "coordinator/job_context.h"
#include "coordinator/job_service.h"
#include "coordinator/run/job_run.h"
#include "coordinator/stages/artifact_store.h"

namespace halcyon::coordinator {

// One job, run once by one thread.
// REQUIRES: the home's lock is held, the old incarnation has ended
// (coordinator/processes/recovery.h), and job.toml and the alive file are written.
class Coordinator {
 public:
  explicit Coordinator(const JobContext* context);

  // Gives the connection to the workers, and the work that blocks, a thread of their own, so that
  // neither delays a heartbeat. Call before Run; without it Run does everything on its one thread.
  void StartThreads() { service_.StartThreads(); }

  // Runs all stages, or those until the context's last one; the artifacts by stage. The status and
  // the journal say at the end how the job ended. kAborted when told to stop.
  absl::StatusOr<std::map<jobs::StageKind, Artifact>> Run();

  const JobStatus& status() const { return service_.status(); }

 private:
  const JobContext* context_;
  JobRun run_;
  JobService service_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_COORDINATOR_H_
