// What a run of a job would reuse and what it would make, without running it.
#ifndef HALCYON_COORDINATOR_STAGES_STAGE_PLAN_H_
#define HALCYON_COORDINATOR_STAGES_STAGE_PLAN_H_

#include <string>
#include <vector>

#include "coordinator/stages/artifact_store.h"
#include "jobs/job_spec.h"
#include "jobs/stage_identity.h"
#include "jobs/stages.h"
#include "storage/home.h"

namespace halcyon::coordinator {

struct PlannedStage {
  jobs::StageKind kind{};
  bool reused = false;
  std::string fingerprint;  // "" when it depends on a stage that is to be made
  std::string why;          // of one that is made
  std::vector<jobs::FieldDifference> differences;  // from the nearest earlier artifact
  // What it goes on from, and what unfinished work of other settings is kept; a sentence each.
  std::vector<std::string> notes;
  // An input that is to be made stands in it with the fingerprint that it will have.
  jobs::StageIdentity identity = {};
};

// What an artifact that is seen to be damaged counts as.
enum class DamagedIs { kError, kToBeMade };

// One entry a stage, in their order. Remembers source digests in the home.
absl::StatusOr<std::vector<PlannedStage>> PlanStages(const jobs::JobSpec& spec,
                                                     const storage::HomeLayout& home,
                                                     ArtifactStore& store,
                                                     DamagedIs damaged = DamagedIs::kError);

// How a stage of one job differs from that of another.
struct StageDifference {
  jobs::StageKind kind{};
  int only_in = 0;  // 1 or 2: only that job has the stage
  std::vector<jobs::FieldDifference> fields = {};
};
// By stage, in their order.
std::vector<StageDifference> CompareStages(const std::vector<PlannedStage>& first,
                                           const std::vector<PlannedStage>& second);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_STAGES_STAGE_PLAN_H_
