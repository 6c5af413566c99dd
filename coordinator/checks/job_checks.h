// Checks of a job against its machine while it runs: before anything is made, and once its text is
// tokens.
#ifndef HALCYON_COORDINATOR_CHECKS_JOB_CHECKS_H_
#define HALCYON_COORDINATOR_CHECKS_JOB_CHECKS_H_

#include <cstdint>
#include <string>

#include "base/status.h"
#include "coordinator/job_context.h"
#include "coordinator/notes.h"
#include "coordinator/stages/artifact_store.h"

namespace halcyon::coordinator {

// Before anything is made: refuses what certainly does not fit on this machine. kInvalidArgument:
// into its memory; kResourceExhausted: onto its disk.
absl::Status CheckMachine(const JobContext& context, ArtifactStore& store);

// Before the first gang's inputs are made, with launch.device = "cuda": whether this machine has a
// GPU for each rank. kInvalidArgument: what is missing, in the worker program's words.
absl::Status CheckGpus(const JobContext& context);

// Before anything is made of the tokens: whether they suffice. `needs_latents`: latents are to be
// made, which takes room on the disk.
absl::Status CheckTokens(const JobContext& context, const std::string& generation_dir,
                         bool needs_latents, Notes* notes);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_CHECKS_JOB_CHECKS_H_
