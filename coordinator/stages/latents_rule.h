// Settles data.latents = "auto" for a job, once.
#ifndef HALCYON_COORDINATOR_STAGES_LATENTS_RULE_H_
#define HALCYON_COORDINATOR_STAGES_LATENTS_RULE_H_

#include <cstdint>
#include <functional>
#include <string>

#include "base/disk_space.h"
#include "base/env.h"
#include "base/status.h"
#include "jobs/job_spec.h"
#include "jobs/latents_choice.h"

namespace halcyon::coordinator {

// In the job's folder: {"latents": "store" | "recompute", "why": ...}.
inline constexpr char kLatentsRuleFile[] = "latents.json";

// What the decision asks of the machine.
struct LatentsMachine {
  std::function<absl::StatusOr<DiskRoom>(const std::string& path)> free_room;
  // As MeasureLatentsRates has them (latents_rates.h).
  std::function<absl::StatusOr<jobs::LatentsRates>(const jobs::LatentsFacts& facts)> rates;
  int64_t agents = 1;
};

// Puts into a spec that says "auto" what was decided before for this job, or decides and records
// it; says why to `notify`. Without a machine nothing is decided, and "auto" may stay. Rates are
// measured where there is room at all; where that fails the decision is made without them and says
// so. Other specs are left alone. kDataLoss: the record is damaged.
absl::Status SettleLatents(Env& env, const std::string& home, const std::string& job_folder,
                           const LatentsMachine* machine,
                           const std::function<void(const std::string&)>& notify,
                           jobs::JobSpec* spec);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_STAGES_LATENTS_RULE_H_
