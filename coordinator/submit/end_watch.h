// Waits for a job's end from outside.
#ifndef HALCYON_COORDINATOR_SUBMIT_END_WATCH_H_
#define HALCYON_COORDINATOR_SUBMIT_END_WATCH_H_

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "coordinator/job_status.h"
#include "storage/home.h"
#include "storage/lease_rules.h"

namespace halcyon::coordinator {

// Not thread-safe.
class EndWatch {
 public:
  explicit EndWatch(const storage::HomeLayout& home, Clock& clock = *Clock::Real())
      : home_(home), clock_(clock) {}

  // Whether the job, whose status is given, does not run and nobody is going to start it. Slurm is
  // asked at most every 10 s; while it does not answer, the job counts as not ended. `job` is
  // corrected.
  absl::StatusOr<bool> HasEnded(JobStatus* job);
  // Marks a running job as interrupted whose coordinator, on another machine, is known to be dead:
  // its lease's beat stood still for 20 s of HasEnded's calls.
  void Correct(JobStatus* job) const;
  // After "job X": where it waits, by the last call (Whereabouts); "": nowhere.
  const std::string& place() const { return place_; }

 private:
  void LookAtOwner(const std::string& job_id);

  const storage::HomeLayout home_;
  Clock& clock_;
  storage::LeaseWatch owner_;
  std::optional<int64_t> asked_ms_;
  int64_t poll_ms_ = 0;
  std::string place_, complaint_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_SUBMIT_END_WATCH_H_
