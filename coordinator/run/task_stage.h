// A stage of leased tasks while it runs: what its agents report, what is committed of it, and when
// it has ended. Which agent does which task is the scheduler's decision. Pure: no clock, no I/O.
//
//   running -> ended    OK: every task is committed
//                       kAborted: told to stop, and no commit is under way; the message says how
//                       many tasks are kept
//                       other codes: a task failed for good
//
// Invariants:
//   - a result is committed only when it came under the task's present lease, and once;
//   - a task is done when its commit has succeeded, not before.
#ifndef HALCYON_COORDINATOR_RUN_TASK_STAGE_H_
#define HALCYON_COORDINATOR_RUN_TASK_STAGE_H_

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "coordinator/run/events.h"
#include "coordinator/run/scheduler.h"

namespace halcyon::coordinator {

// The sentences that tasks have warned with in this run of the job, by their hash: the tokenizer's
// and the tokens' tasks read the same text, and have the same to say of it.
using WarningsSeen = std::unordered_set<size_t>;

class TaskStage {
 public:
  // Adds the tasks to the scheduler, which outlives the stage, as `warnings_seen` does.
  TaskStage(NodeId id, std::string label, PreparedStage prepared, Scheduler* scheduler,
            WarningsSeen* warnings_seen, Effects* effects);

  // REQUIRES: the grant is of this stage.
  void OnGrant(const Grant& grant, Effects* effects);
  // The worker goes on under a lease of an earlier coordinator.
  void OnAdopted(const Grant& lease, Effects* effects);
  // REQUIRES for these three: the message carries the fence of a present lease of this stage.
  void OnProgress(const cluster::TaskProgress& progress, Effects* effects);
  // `task`: its place among the tasks.
  void OnDone(const cluster::TaskDone& done, size_t task, Effects* effects);
  void OnFailed(const cluster::TaskFailed& failed, Effects* effects);
  void On(const event::Ingested& ingested, Effects* effects);
  // Hands out no more tasks.
  void Stop();

  // How it ended, and of which task that is said; "": of the stage.
  struct Ending {
    absl::Status how;
    std::string task = {};
  };
  // nullopt while it runs.
  std::optional<Ending> End() const;
  // Whether tasks are left for agents to do.
  bool NeedsAgents() const;

 private:
  void Fail(const std::string& task, Fence fence, const absl::Status& why, Effects* effects);
  void ShowWarnings(const nlohmann::json& warnings, Effects* effects);
  void Show(Effects* effects, bool is_start = false) const;
  std::string WhatIsKept() const;

  struct Commit {
    std::string task;
    nlohmann::json warnings;  // of the agent, about its part of the data
  };

  NodeId id_;
  std::string label_;
  PreparedStage prepared_;
  Scheduler* scheduler_;
  WarningsSeen* warnings_seen_;
  std::map<Fence, Commit> commits_;  // under way
  int warnings_ = 0;
  bool is_stopping_ = false;
};

// The error of a run that was told to stop; `kept` says what of its stage stays: "saved step 12".
absl::Status Stopped(const std::string& kept);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_RUN_TASK_STAGE_H_
