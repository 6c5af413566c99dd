// A stage that a gang of ranks trains, while it runs: launched, followed, launched again when it
// fails (it resumes from its last checkpoint), told to save and end when the job must stop. Pure:
// no clock, no processes.
//
//   preparing -> starting -> running -> draining -> ending -> ended
//   adopting -> running     the ranks of an earlier coordinator's launch still train
//   adopting -> preparing   they do not
//   starting -> ending      the launcher could not be started
//   starting -> draining    it was killed before what it waits for had come
//   ending -> waiting -> preparing   the next launch
//
//   adopting   an earlier coordinator's launch is looked for
//   preparing  earlier launches are being fenced off
//   starting   the launcher is being started; what the ranks must wait for has not come
//   running    the launcher runs
//   draining   it has ended; the last messages of its ranks are awaited
//   ending     what is left of the launch is being killed
//   waiting    before the next launch, the longer the more have failed
//
// Invariants:
//   - no launch begins before no process of the earlier one is left that could be found;
//   - each launch has a number of its own: only messages of the present one count;
//   - a gang that was told to stop, or whose failure would recur, is not launched again.
#ifndef HALCYON_COORDINATOR_RUN_GANG_STAGE_H_
#define HALCYON_COORDINATOR_RUN_GANG_STAGE_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/run/events.h"
#include "coordinator/run/gang_watch.h"
#include "coordinator/run/launch_plan.h"
#include "coordinator/run/restart_budget.h"

namespace halcyon::coordinator {

// Time limits, after which a gang is killed. There is none for the step that it finishes and saves
// when it is told to stop: a rank that hangs stops sending heartbeats.
inline constexpr int64_t kGangStartMsMax = 120000;  // until every rank has sent Hello
inline constexpr int64_t kGangEndMsMax = 30000;     // for the others after one rank has failed
// For messages still in transit when the launcher has ended, from all ranks together.
inline constexpr int64_t kLastMessagesMsMax = 3000;

// What the names of a gang's ranks start with: "model-rank-0" is that of "model"'s first.
std::string RankPrefix(const std::string& label);

// Of [launch].
struct GangLimits {
  int64_t ranks = 1;
  int64_t ranks_min = 0;     // 0: as `ranks`
  bool places_ranks = true;  // else something else has, and no machine can be left out
  int64_t restarts_max = 0;
  HangLimits hang = {};
};

class GangStage {
 public:
  // Adopts prepared.earlier_gang if there is one, and launches a gang otherwise.
  GangStage(NodeId id, std::string label, PreparedStage prepared, const GangLimits& limits,
            Effects* effects);

  // False when the message is not of the present launch of this gang.
  bool OnMessage(const cluster::Message& message, int64_t now_ms, Effects* effects);
  void On(const event::Tick&, int64_t now_ms, Effects* effects);
  void On(const event::StopRequested& stop, int64_t now_ms, Effects* effects);
  void On(const event::Paused&, int64_t now_ms);
  void On(const event::Suspected& suspected, Effects* effects);
  void On(const event::Adopted& adopted, int64_t now_ms, Effects* effects);
  void On(const event::Beats& beats, int64_t now_ms, Effects* effects);
  void On(const event::LaunchPrepared& prepared, int64_t now_ms, Effects* effects);
  void On(const event::Launched& launched, int64_t now_ms, Effects* effects);
  void On(const event::LaunchWaits& waits, Effects* effects);
  void On(const event::RoomChecked& checked, Effects* effects);
  void On(const event::LauncherEnded& ended, int64_t now_ms, Effects* effects);
  void On(const event::RanksEnded& ended, int64_t now_ms, Effects* effects);
  // Another stage has failed: ends without another launch.
  void Abandon(const absl::Status& why, Effects* effects);

  // How it ended; nullopt while it runs. kAborted when told to stop; the message says what was
  // saved. A failure that EndsJob is given at once; others after restarts_max launches more without
  // a checkpoint between them, as kInternal.
  const std::optional<absl::StatusOr<StageOutcome>>& end() const { return end_; }
  // Of the ranks of the present launch.
  std::vector<WorkerHealth> Health() const;

 private:
  enum class State {
    kAdopting,
    kPreparing,
    kStarting,
    kRunning,
    kDraining,
    kEnding,
    kWaiting,
    kEnded
  };

  // Of one launch.
  struct Launch {
    size_t ranks_wanted = 0;
    std::set<WorkerId> ranks;  // that have come up and not ended
    size_t came_up = 0, ended = 0;
    std::optional<nlohmann::json> result;
    absl::Status failure;
    bool killed = false, has_exited = false;
    bool started = false;  // it has reported a step
    bool waits = false;    // before it is started
    bool is_adopted = false;
    // Not the ranks' own: their machine's or the network's; the machine where one is known.
    bool is_node_fault = false;
    std::string fault_host;
    bool lost_hosts = false;  // some that its ranks were on cannot be reached any more
    int64_t launched_ms = 0, room_checked_ms = 0, exit_ms = 0, last_message_ms = 0;
    std::optional<int64_t> failed_ms, paused_ms;
  };

  static cluster::Body StopMessage();
  static absl::Status StoppedGang(const absl::Status& end, uint64_t newest_step);
  void AdoptGang(const EarlierGang& gang, Effects* effects);
  void PrepareLaunch(Effects* effects);
  void OnHello(const cluster::Hello& hello, const WorkerId& worker, Effects* effects);
  void OnProgress(const cluster::TrainProgress& progress, Effects* effects);
  void OnEnded(const cluster::RankEnded& ended, const WorkerId& worker, int64_t now_ms,
               Effects* effects);
  void Kill(const absl::Status& why, Effects* effects);
  void KillForNode(const std::string& why, const std::string& host, Effects* effects);
  void EndWhenQuiet(int64_t now_ms, Effects* effects);
  void EndRanks(Effects* effects);
  absl::StatusOr<StageOutcome> Conclude(const GangRemains& remains) const;
  void Decide(const absl::Status& status, uint64_t step, int64_t now_ms, Effects* effects);
  std::optional<int64_t> WaitMsAfter(const absl::Status& status, int64_t now_ms, Effects* effects);
  // The next launches do without its lost hosts.
  void LeaveOut(const GangRemains& remains, int64_t now_ms, Effects* effects);
  void TellLeftOut(const std::string& host, Effects* effects);
  void End(absl::StatusOr<StageOutcome> how);
  EndCause CauseOf(const absl::Status& status, int64_t now_ms) const;
  bool IsPausedAt(int64_t now_ms) const;
  size_t ranks_wanted() const { return launch_.ranks_wanted; }
  bool all_came_up() const { return launch_.came_up >= ranks_wanted(); }

  NodeId id_;
  std::string label_;
  cluster::StageAssignment assignment_;
  const uint64_t claim_;  // this coordinator's; an adopted launch has that of its own
  uint64_t newest_step_;
  RestartBudget budget_;
  LaunchPlan plan_;
  const bool places_ranks_;
  GangWatch watch_;
  int64_t launch_after_ms_ = 0;  // of the state waiting
  State state_ = State::kPreparing;
  Launch launch_;
  int stop_requests_ = 0;
  absl::Status fatal_;  // not OK: how the stage ends, whatever becomes of the launch
  std::optional<absl::StatusOr<StageOutcome>> end_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_RUN_GANG_STAGE_H_
