#include "coordinator/submit/end_watch.h"

#include "base/clock.h"
#include "base/terminal_text.h"
#include "coordinator/submit/whereabouts.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kQueuePollMs = 300;
// A cluster's slurmctld serves many.
constexpr int64_t kSlurmPollMs = 10'000;

}  // namespace

absl::StatusOr<bool> EndWatch::HasEnded(const JobStatus& job) {
  if (job.state == jobs::JobState::kRunning) {
    asked_ms_.reset();
    return false;
  }
  const int64_t now_ms = Clock::Real()->MonotonicMs();
  if (asked_ms_ && now_ms - *asked_ms_ < poll_ms_) return false;
  asked_ms_ = now_ms;
  const Whereabouts place = WhereaboutsReader(*Env::Posix(), home_).Of(job);
  place_ = place.text;
  const bool is_slurms = place.submission && place.submission->launcher == Launcher::kSlurm;
  poll_ms_ = is_slurms ? kSlurmPollMs : kQueuePollMs;
  if (place.is_live || place.is_outstanding) return false;
  if (place.slurm_error.empty()) return true;
  if (place.slurm_error != complaint_) {
    complaint_ = place.slurm_error;
    PrintToStandardError("Slurm cannot be asked for the job (" + complaint_ + "); asking again\n");
  }
  return false;
}

}  // namespace halcyon::coordinator
