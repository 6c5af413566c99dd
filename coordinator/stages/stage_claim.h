// A job's claim of a stage that it wants to make: while it is held no other job makes the stage.
#ifndef HALCYON_COORDINATOR_STAGES_STAGE_CLAIM_H_
#define HALCYON_COORDINATOR_STAGES_STAGE_CLAIM_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "coordinator/job_context.h"
#include "jobs/stages.h"
#include "storage/lease.h"

namespace halcyon::coordinator {

// Not thread-safe. Given up by the destructor.
class StageClaim {
 public:
  StageClaim(const JobContext* context, jobs::StageKind kind, std::string fingerprint);
  ~StageClaim();
  StageClaim(const StageClaim&) = delete;
  StageClaim& operator=(const StageClaim&) = delete;

  // True once it is held; false while another job has it. Call again to try again: an observer of
  // another machine's lease must look for a while before it may take it over.
  absl::StatusOr<bool> TryTake();
  // Who has it, after TryTake gave false.
  std::string holder() const { return seeker_.holder().ToString(); }

  // REQUIRES for these two: it is held.
  uint64_t number() const { return lease_->number(); }
  // kAborted when another job has taken it over.
  absl::Status Check() const { return lease_->Check(); }

 private:
  const JobContext* context_;
  const std::string checkpoints_;
  storage::LeaseSeeker seeker_;
  std::shared_ptr<storage::Lease> lease_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_STAGES_STAGE_CLAIM_H_
