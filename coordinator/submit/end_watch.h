// Waits for a job's end from outside.
#ifndef HALCYON_COORDINATOR_SUBMIT_END_WATCH_H_
#define HALCYON_COORDINATOR_SUBMIT_END_WATCH_H_

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"
#include "coordinator/job_status.h"
#include "storage/home.h"

namespace halcyon::coordinator {

// Not thread-safe.
class EndWatch {
 public:
  explicit EndWatch(const storage::HomeLayout& home) : home_(home) {}

  // Whether the job, whose status is given, does not run and nobody is going to start it. Slurm is
  // asked at most every 10 s; while it does not answer, the job counts as not ended.
  absl::StatusOr<bool> HasEnded(const JobStatus& job);
  // After "job X": where it waits, by the last call (Whereabouts); "": nowhere.
  const std::string& place() const { return place_; }

 private:
  const storage::HomeLayout home_;
  std::optional<int64_t> asked_ms_;
  int64_t poll_ms_ = 0;
  std::string place_, complaint_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_SUBMIT_END_WATCH_H_
