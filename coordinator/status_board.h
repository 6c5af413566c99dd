// The present status of a running job, passed to the observer on every change and written to
// status.json when a state changes, and otherwise at most once a second.
#ifndef HALCYON_COORDINATOR_STATUS_BOARD_H_
#define HALCYON_COORDINATOR_STATUS_BOARD_H_

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/display/pace.h"
#include "coordinator/job_context.h"
#include "coordinator/job_status.h"
#include "coordinator/run/events.h"
#include "jobs/stage_graph.h"

namespace halcyon::coordinator {

// Not thread-safe. Makes the values; `post` has them written, in order and elsewhere, and reports
// what fails. It outlives what it posted.
class StatusBoard {
 public:
  using Post = std::function<void(std::function<absl::Status()>)>;
  StatusBoard(const JobContext* context, const jobs::StageGraph& graph, Post post);

  const JobStatus& status() const { return status_; }
  void Publish();

  void Show(const effect::ShowNote& show);
  void Show(const effect::ShowFingerprint& show);
  void Show(const effect::ShowTasks& show);
  void Show(const effect::ShowSteps& show);
  void Show(const effect::ShowRestart& show);
  void Show(const effect::ShowWorkers& show);
  // State changes go to status.json and to the journal.
  // REQUIRES: the move is legal (jobs/job_state.h).
  void Move(const effect::MoveJob& move);
  void Move(const effect::MoveStage& move);

 private:
  // Where a stage's pace counts from: another start means that it was taken over, or launched
  // again.
  struct StagePace {
    double start_fraction = 0;
    uint64_t steps = 0;
    PaceMeter meter;
  };

  StageStatus& stage(NodeId id) { return status_.stages.at(id.value()); }
  void MeasurePace();
  void WriteFile();
  void Record();

  const JobContext* context_;
  const Post post_;
  JobStatus status_;
  // The last that were shown: of a job that fails they are what led to it.
  std::vector<WorkerStatus> workers_before_;
  int64_t created_ms_ = 0;
  std::optional<int64_t> written_ms_;
  std::vector<StagePace> paces_;    // by node
  std::atomic<int> unwritten_ = 0;  // writes of status.json under way
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_STATUS_BOARD_H_
