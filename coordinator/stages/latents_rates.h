// What data.latents = "auto" is decided by, measured.
#ifndef HALCYON_COORDINATOR_STAGES_LATENTS_RATES_H_
#define HALCYON_COORDINATOR_STAGES_LATENTS_RATES_H_

#include <string>

#include "base/status.h"
#include "jobs/job_spec.h"
#include "jobs/latents_choice.h"

namespace halcyon::coordinator {

// Has the worker measure how fast this machine encodes, and measures the disk that `folder` is on.
// Takes some seconds; what it writes into the folder is removed. kFailedPrecondition tells what the
// worker says: no GPU for launch.device = "cuda".
absl::StatusOr<jobs::LatentsRates> MeasureLatentsRates(const std::string& worker_program,
                                                       const std::string& folder,
                                                       const jobs::JobSpec& spec,
                                                       const jobs::LatentsFacts& facts);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_STAGES_LATENTS_RATES_H_
