#include "coordinator/stages/stage_claim.h"

#include <utility>

#include "cluster/outputs.h"
#include "storage/checkpoint.h"

namespace halcyon::coordinator {

StageClaim::StageClaim(const JobContext* context, jobs::StageKind kind, std::string fingerprint)
    : context_(context),
      checkpoints_(cluster::CheckpointsDir(
          context->home.Work(std::string(jobs::StageName(kind)), fingerprint))),
      seeker_(*context->env, *context->clock,
              context->home.Claim(std::string(jobs::StageName(kind)), fingerprint),
              storage::ThisProcess("job " + context->job.value())) {
  if (context->owner_before) seeker_.AssumeDead(*context->owner_before);
}

StageClaim::~StageClaim() {
  if (lease_ != nullptr) context_->leases->Drop(lease_);
}

absl::StatusOr<bool> StageClaim::TryTake() {
  if (lease_ != nullptr) return true;
  // Above the fence of the checkpoints, whose claims may have been lost.
  const auto fence = storage::CheckpointStore(*context_->env, checkpoints_).ReadFence();
  ASSIGN_OR_RETURN(lease_, seeker_.TryTake(fence.ok() ? fence->claim : 0));
  if (lease_ != nullptr) context_->leases->Keep(lease_, LeaseOf::kStage);
  return lease_ != nullptr;
}

}  // namespace halcyon::coordinator
