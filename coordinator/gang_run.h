// One launch of a gang, from mpirun's start to the end of its last rank.
#ifndef HALCYON_COORDINATOR_GANG_RUN_H_
#define HALCYON_COORDINATOR_GANG_RUN_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/messages.h"
#include "coordinator/child_end.h"
#include "coordinator/restart_budget.h"
#include "coordinator/stage_outcome.h"
#include "coordinator/task_stage.h"

namespace halcyon::coordinator {

// Time limits, after which a gang is killed. There is none for the step that it finishes and saves
// when it is told to stop: a rank that hangs stops sending heartbeats.
inline constexpr int64_t kGangStartMsMax = 120000;  // until every rank has sent Hello
inline constexpr int64_t kGangEndMsMax = 30000;     // for the others after one rank has failed
// For messages still in transit when the launcher has ended, from all ranks together.
inline constexpr int64_t kLastMessagesMsMax = 3000;

// Used once, by one thread. Borrows everything; `assignment` outlives it.
class GangRun {
 public:
  GangRun(const StageTools& tools, ProcessRegistry* registry,
          const cluster::StageAssignment& assignment);

  // kAborted: the ranks agreed to stop and have saved. Other errors: how the gang failed.
  // Afterwards no process of the gang is left that could be found.
  absl::StatusOr<StageOutcome> Run();

  // Of Run's end.
  bool told_to_stop() const { return stop_sent_; }
  EndCause end_cause() const;

 private:
  absl::Status CheckRoomFor(const DiskRoom& needed) const;
  absl::Status Launch();
  cluster::GangOptions Options() const;
  absl::Status OnMessage(const cluster::Message& message);
  absl::Status OnHello(const cluster::Hello& hello, const WorkerId& worker);
  absl::Status OnProgress(const cluster::TrainProgress& progress);
  void OnEnded(const cluster::RankEnded& ended, const WorkerId& worker);
  void ReportResumption(const nlohmann::json& figures);
  absl::Status WatchForStop();
  void NotePauses();
  void WatchRanks();
  void WatchRoom();
  void Kill(const absl::Status& why);
  absl::Status ReadLastMessages();
  void EndRemainingRanks();
  absl::StatusOr<StageOutcome> Conclude();
  bool all_came_up() const { return came_up_ >= ranks_wanted_; }

  const StageTools& tools_;
  const JobContext& context_;
  ProcessRegistry* registry_;
  const cluster::StageAssignment& assignment_;
  const std::string prefix_;
  const size_t ranks_wanted_;
  StageStatus* stage_;
  ChildLog log_;
  std::unique_ptr<cluster::ChildProcess> child_;
  std::optional<cluster::ExitStatus> exit_;
  std::set<WorkerId> ranks_;
  size_t came_up_ = 0, ended_ = 0;
  std::vector<cluster::ProcessIdentity> rank_processes_;
  std::optional<nlohmann::json> result_;
  absl::Status failure_;
  bool killed_ = false;
  bool started_ = false;
  bool stop_sent_ = false;
  int pauses_seen_ = 0;
  int64_t launched_ms_ = 0, room_checked_ms_ = 0, last_message_ms_ = 0;
  std::optional<int64_t> failed_ms_, paused_ms_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_GANG_RUN_H_
