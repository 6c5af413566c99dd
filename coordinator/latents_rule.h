// Settles data.latents = "auto" for a job, once.
#ifndef HALCYON_COORDINATOR_LATENTS_RULE_H_
#define HALCYON_COORDINATOR_LATENTS_RULE_H_

#include <functional>
#include <string>

#include "base/disk_space.h"
#include "base/env.h"
#include "base/status.h"
#include "jobs/job_spec.h"

namespace halcyon::coordinator {

// In the job's folder: {"latents": "store" | "recompute", "why": ...}.
inline constexpr char kLatentsRuleFile[] = "latents.json";

// Puts into a spec that says "auto" what was decided before for this job, or decides and records
// it; says why to `notify`. Other specs are left alone. kDataLoss: the record is damaged.
absl::Status SettleLatents(
    Env& env, const std::string& home, const std::string& job_folder,
    const std::function<absl::StatusOr<DiskRoom>(const std::string&)>& free_room,
    const std::function<void(const std::string&)>& notify, jobs::JobSpec* spec);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_LATENTS_RULE_H_
