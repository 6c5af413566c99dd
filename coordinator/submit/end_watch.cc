#include "coordinator/submit/end_watch.h"

#include "base/terminal_text.h"
#include "coordinator/submit/whereabouts.h"
#include "storage/lease.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kQueuePollMs = 300;
// A cluster's slurmctld serves many.
constexpr int64_t kSlurmPollMs = 10'000;

}  // namespace

void EndWatch::LookAtOwner(const std::string& job_id) {
  auto view = storage::LookAtLease(*Env::Posix(), home_.Owner(job_id));
  if (view.ok()) owner_.See(*std::move(view), clock_.MonotonicMs());
}

void EndWatch::Correct(JobStatus* job) const {
  if (job->state == jobs::JobState::kRunning && owner_.MayTake()) MarkInterrupted(job);
}

absl::StatusOr<bool> EndWatch::HasEnded(JobStatus* job) {
  LookAtOwner(job->job_id);
  Correct(job);
  if (job->state == jobs::JobState::kRunning) {
    asked_ms_.reset();
    return false;
  }
  const int64_t now_ms = clock_.MonotonicMs();
  if (asked_ms_ && now_ms - *asked_ms_ < poll_ms_) return false;
  asked_ms_ = now_ms;
  const Whereabouts place = WhereaboutsReader(*Env::Posix(), home_).Of(*job);
  place_ = place.text;
  const bool is_slurms = place.submission && place.submission->launcher == Launcher::kSlurm;
  poll_ms_ = is_slurms ? kSlurmPollMs : kQueuePollMs;
  const bool is_live = place.is_live && !owner_.MayTake();
  if (is_live || place.is_outstanding) return false;
  if (place.slurm_error.empty()) return true;
  if (place.slurm_error != complaint_) {
    complaint_ = place.slurm_error;
    PrintToStandardError("Slurm cannot be asked for the job (" + complaint_ + "); asking again\n");
  }
  return false;
}

}  // namespace halcyon::coordinator
