// The present status of a running job, passed to the observer on every change and written to
// status.json when a state changes, and otherwise at most once a second.
#ifndef HALCYON_COORDINATOR_STATUS_BOARD_H_
#define HALCYON_COORDINATOR_STATUS_BOARD_H_

#include <map>
#include <optional>
#include <string>

#include "coordinator/job_context.h"
#include "coordinator/job_status.h"
#include "coordinator/pace.h"

namespace halcyon::coordinator {

// Not thread-safe.
class StatusBoard {
 public:
  explicit StatusBoard(const JobContext* context);

  const JobStatus& status() const { return status_; }
  // For figures; call Publish afterwards.
  StageStatus& Stage(jobs::StageKind kind) { return status_.Stage(kind); }
  void Publish();

  // State changes go to status.json and to the journal at once.
  // REQUIRES: the move is legal (jobs/job_state.h).
  // `end`: how the job ended; OK while it runs.
  absl::Status MoveJob(jobs::JobState state, const absl::Status& end);
  absl::Status MoveStage(jobs::StageKind kind, jobs::StageState state, const std::string& note);

 private:
  // Where a stage's pace counts from: another start means that it was taken over, or launched
  // again.
  struct StagePace {
    double start_fraction = 0;
    uint64_t steps = 0;
    PaceMeter meter;
  };

  void MeasurePace();
  void WriteFile();
  absl::Status Record();

  const JobContext* context_;
  JobStatus status_;
  int64_t created_ms_ = 0;
  std::optional<int64_t> written_ms_;
  std::map<jobs::StageKind, StagePace> paces_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_STATUS_BOARD_H_
