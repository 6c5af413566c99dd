// A job while it runs, as a value: On(event, now) gives the effects that the event asks for, and
// changes nothing but this value. Pure: no I/O, no clock, no threads.
//
//   job:    checking -> running -> leaving -> ended
//   stage:  waiting -> finding -> made                                       reused
//           finding -> left                                                  not made by this run
//           finding -> awaiting -> preparing -> running -> installing -> made
//           finding -> blocked -> finding                                    another job makes it
//           preparing | running | installing -> ended                        failed or interrupted
//
//   leaving   the agents are told to end, and waited for a while
//   finding   its artifact is looked for, and the stage is claimed when there is none and this run
//   makes it
//   blocked   another job has claimed the stage: its artifact, or its claim, is waited for
//   awaiting  a stage of tasks: agents of an earlier coordinator have still to come, which may
//   serve
//             tasks of it
//   running   coordinator/run/task_stage.h or gang_stage.h has its state
//
// Invariants:
//   - a stage begins when all its inputs are made, and nothing has failed or asked to stop;
//   - stages that do not depend on each other run at the same time: stages of tasks share the
//     agents of [launch], and one gang has its ranks at a time;
//   - of stages with the same fingerprint one is made at a time, in this job and among all jobs:
//   the
//     others then find its artifact;
//   - the job leaves when no stage is between finding and made;
//   - with `until` only that stage and those that it is made from are made; others are looked for,
//     so that the job's record goes on naming what it has;
//   - each effect that has an answer is waited for, once, before the stage goes on.
#ifndef HALCYON_COORDINATOR_RUN_JOB_RUN_H_
#define HALCYON_COORDINATOR_RUN_JOB_RUN_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/run/agent_pool.h"
#include "coordinator/run/events.h"
#include "coordinator/run/gang_stage.h"
#include "coordinator/run/phase_past.h"
#include "coordinator/run/scheduler.h"
#include "coordinator/run/task_stage.h"
#include "jobs/stage_graph.h"

namespace halcyon::coordinator {

// Of [launch], and how far this run goes.
struct RunLimits {
  int64_t agents = 1;
  int64_t ranks = 1;
  int64_t restarts_max = 0;
  int64_t ranks_min = 0;  // 0: as `ranks`
  bool places_ranks = true;
  HangLimits hang = {};
  std::optional<jobs::StageKind> until = {};  // the last stage to make; nullopt: all are made
};

// The launches of the job's earlier coordinator that may be adopted, by the label of their stage.
using EarlierLaunches = std::map<std::string, uint64_t>;
// What the job's earlier coordinators have left.
struct EarlierWorkers {
  EarlierLaunches launches = {};
  std::vector<EarlierAgent> agents = {};
  uint64_t agent_starts = 0;  // the numbers of agents, these and others, are not above it
};
// Their messages that are kept until their stage is prepared.
inline constexpr size_t kEarlyMessagesMax = 10000;

// How often the claim of a stage that another job makes is tried.
inline constexpr int64_t kClaimPollMs = 1000;
// Results that wait for their commit; with more, no task is handed out.
inline constexpr size_t kCommitsMax = 64;

class JobRun {
 public:
  JobRun(jobs::StageGraph graph, const RunLimits& limits, EarlierWorkers earlier = {});
  JobRun(const JobRun&) = delete;  // its parts refer to each other
  JobRun& operator=(const JobRun&) = delete;

  Effects Start();
  // `now_ms` never goes back.
  Effects On(const Event& event, int64_t now_ms);

  // How the job ended; nullopt while it runs. kAborted when told to stop, kCancelled when a person
  // wanted that for good.
  const std::optional<absl::Status>& end() const { return end_; }
  const jobs::StageGraph& graph() const { return graph_; }

 private:
  enum class JobState { kChecking, kRunning, kLeaving, kEnded };
  enum class State {
    kWaiting,
    kFinding,
    kBlocked,
    kAwaiting,
    kPreparing,
    kRunning,
    kInstalling,
    kMade,
    kLeft,
    kEnded
  };
  struct Stage {
    State state = State::kWaiting;
    bool is_wanted = true;  // this run makes it
    std::string fingerprint, why;
    std::optional<NodeId> behind;    // the stage that makes the same artifact
    uint64_t claim = 0;              // its number, while this job makes it
    std::string busy_with;           // who makes it, while it is blocked
    int64_t looked_ms = 0;           // when the claim of a blocked one was last tried
    std::optional<TaskStage> tasks;  // one of these two while it is running
    std::optional<GangStage> gang;
  };

  // One for each kind of event.
  void Handle(const event::Tick& tick);
  void Handle(const event::Received& received);
  void Handle(const event::StopRequested& stop);
  void Handle(const event::Paused& paused);
  void Handle(const event::Suspected& suspected);
  void Handle(const event::Beats& beats);
  void Handle(const event::AgentEnded& ended) { agents_.On(ended); }
  void Handle(const event::LauncherEnded& ended);
  void Handle(const event::JobChecked& checked);
  void Handle(const event::StageFound& found);
  void Handle(const event::StagePrepared& prepared);
  void Handle(const event::Ingested& ingested);
  void Handle(const event::LaunchPrepared& prepared);
  void Handle(const event::Adopted& adopted);
  void Handle(const event::LeaseLost& lost);
  void Handle(const event::Launched& launched);
  void Handle(const event::LaunchWaits& waits);
  void Handle(const event::RoomChecked& checked);
  void Handle(const event::RanksEnded& ended);
  void Handle(const event::Installed& installed);
  void Handle(const event::Broken& broken);

  bool OnTaskMessage(const cluster::Message& message);
  // Keeps the message for the stage whose ranks it may turn out to be of; false: it is of none.
  bool KeepForLater(const cluster::Message& message);
  void Block(NodeId id, const std::string& busy_with);
  void PrepareStages();
  void Run(NodeId id, PreparedStage prepared);
  // Of those that an earlier coordinator granted: the stage, which is new, takes over those of its
  // tasks.
  void AdoptLeases(NodeId id, const StageTasks& tasks);
  // Voids those that no stage will take over.
  void VoidLeases();
  bool MayTakeOver(NodeId id, const StatedLease& lease) const;
  bool NeedsAgentsBefore(NodeId id) const;
  void Settle(const StatedLease& lease, bool is_adopted);
  void GrantTasks();
  void MaintainAgents();
  void EndStages();
  // `task`: the one that `how` tells of; "": none in particular.
  void EndStage(NodeId id, const absl::Status& how, const std::string& task = "");
  void WantUntil(jobs::StageKind last);
  void BeginStages();
  bool MayBegin(NodeId id) const;
  void LookAgain();
  void LeaveWhenIdle();
  // The first failure is the job's; a stop gives way to it.
  void Fail(const absl::Status& status);
  void AbandonStages(const absl::Status& why);

  bool HasActiveGang() const;
  bool is_active(NodeId id) const;
  bool is_gang(NodeId id) const;
  const std::string& label(NodeId id) const { return graph_.node(id).label; }
  Stage& stage(NodeId id) { return stages_.at(id.value()); }
  const Stage& stage(NodeId id) const { return stages_.at(id.value()); }
  GangStage* gang(NodeId id);
  template <typename Effect>
  void Do(Effect effect) {
    effects_.push_back(std::move(effect));
  }

  jobs::StageGraph graph_;
  RunLimits limits_;
  Scheduler scheduler_;
  AgentPool agents_;
  WarningsSeen warnings_seen_;
  std::vector<NodeId> ids_;
  std::vector<Stage> stages_;  // by node
  EarlierLaunches earlier_;
  std::vector<cluster::Message> early_;  // of ranks that may be adopted
  JobState state_ = JobState::kChecking;
  absl::Status failure_;
  std::optional<absl::Status> end_;
  int stop_requests_ = 0;
  bool cancelled_ = false;
  uint64_t leases_ = 0;  // granted so far
  size_t commits_ = 0;   // under way

  // Of the event that is being handled.
  int64_t now_ms_ = 0;
  Effects effects_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_RUN_JOB_RUN_H_
