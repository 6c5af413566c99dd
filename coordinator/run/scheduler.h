// Which worker does which task: the tasks, leases and failures of all stages of leased tasks that
// run at a time. Pure: events in, decisions out; no clock, no I/O, no randomness. Not thread-safe.
//
//   task:  waiting -> leased -> taken -> done
//          waiting -> leased   also when it was leased by an earlier coordinator, and is adopted
//          leased -> waiting   its worker failed, is lost, or reports that it has nothing to do
//          taken -> waiting    its result could not be committed
//
// Invariants:
//   - a leased task has one holder and one fence; a worker holds at most one lease;
//   - no two leases have the same fence, and fences grow with every grant, so a result is the
//     task's own exactly when its fence is;
//   - a taken task has no holder: what happens to the worker no longer matters;
//   - a task that is done stays done.
// An event costs O(log workers) at most, whatever the number of tasks; removing a stage costs as
// much as it has leases. A task costs nothing beside what StageTasks keeps of it.
#ifndef HALCYON_COORDINATOR_RUN_SCHEDULER_H_
#define HALCYON_COORDINATOR_RUN_SCHEDULER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/status.h"
#include "coordinator/run/stage_tasks.h"
#include "jobs/stage_graph.h"

namespace halcyon::coordinator {

// Whether a failure with this code would recur with any worker: it ends the job at once.
bool EndsJob(absl::StatusCode code);

struct Grant {
  jobs::NodeId stage;
  size_t task = 0;  // its place among the stage's tasks
  std::string name;
  WorkerId worker;
  Fence fence;
};

class Scheduler {
 public:
  // A task that failed or lost its worker more than `failures_max` times fails its stage.
  explicit Scheduler(int64_t failures_max) : failures_max_(failures_max) {}

  // Takes the stage's tasks, in the order to hand them out. Of several stages the one that comes
  // first in the graph is served first. REQUIRES: the stage has none.
  void Add(jobs::NodeId stage, StageTasks tasks);
  // Forgets the stage's tasks; the workers stay. What a worker still does for them is refused.
  void Remove(jobs::NodeId stage);
  // Hands out no more of the stage's tasks.
  void Pause(jobs::NodeId stage);

  // The worker goes on with a task of the stage that an earlier coordinator has leased to it, under
  // the fence of that lease. False, and nothing is changed, when another has the task, or the
  // worker has another. REQUIRES: the stage is new: none of its tasks was granted yet.
  bool Adopt(const Grant& lease);

  // The worker has nothing to do; `served` is the last lease that it has served, Fence(0) when
  // none. Nothing when it was granted a later one since: the message is late, or came twice. A
  // lease that it holds and says that it has served goes back: its result was lost.
  void Ready(const WorkerId& worker, Fence served);
  // The worker's process is gone or has stopped sending. Its lease goes back and counts as a
  // failure of the task, unless `counts` is false (a pause of this process was the cause).
  void Lost(const WorkerId& worker, bool counts = true);

  // Whether a task and a worker wait for each other.
  bool CanGrant() const { return !granting_.empty() && !ready_.empty(); }
  // The stage of the task that would be leased. REQUIRES: CanGrant().
  jobs::NodeId NextStage() const { return *granting_.begin(); }
  // Whether a task of any stage is leased or taken under it.
  bool IsInUse(Fence fence) const { return leases_.contains(fence); }
  // Leases the first waiting task to the worker that is ready for longest.
  // REQUIRES: CanGrant(); `fence` is above every earlier one of the stage, and not in use.
  Grant GrantNext(Fence fence);

  struct LeasedTask {
    jobs::NodeId stage;
    size_t task = 0;
  };
  // What a worker's message about a task is about; nullopt when it does not carry the fence of the
  // task's present lease.
  std::optional<LeasedTask> Find(const std::string& task, Fence fence,
                                 const WorkerId& worker) const;
  // REQUIRES for these two: Find gave the task.
  void Progress(Fence fence, double fraction);
  void Take(Fence fence);  // its result is being committed
  // A leased or taken task failed. Nothing when the stage was removed.
  void Failed(Fence fence, const absl::Status& why);
  // The result of a taken task is committed. Nothing when the stage was removed.
  void Done(Fence fence);

  struct Counts {
    size_t tasks = 0, done = 0, taken = 0;
    // Of all tasks, counting the parts of those in progress. 1 when there is none.
    double fraction = 1;
    bool all_done() const { return done == tasks; }
  };
  // REQUIRES for these two: the stage was added.
  Counts CountsOf(jobs::NodeId stage) const;
  // Of a task of the stage that failed for good; nullopt when none has.
  struct Failure {
    std::string task;
    absl::Status why;
  };
  const std::optional<Failure>& FailureOf(jobs::NodeId stage) const {
    return stages_.at(stage).failure;
  }
  // The name of the task that the worker holds the lease of.
  std::optional<std::string> TaskOf(const WorkerId& worker) const;

 private:
  struct Stage {
    StageTasks tasks;
    // The tasks that wait: those that came back, and all from `untouched` on but the adopted.
    std::set<size_t> came_back;
    size_t untouched = 0;                // itself none of the adopted
    std::set<size_t> adopted;            // above `untouched`
    std::map<size_t, int64_t> failures;  // of tasks that have any
    size_t done = 0, taken = 0;
    int64_t parts = 0;  // of the leases, together
    bool paused = false;
    std::optional<Failure> failure;
    bool has_waiting() const { return !came_back.empty() || untouched < tasks.size(); }
    size_t TakeWaiting();
    void SkipAdopted();
  };
  struct Lease {
    jobs::NodeId stage;
    size_t task = 0;
    std::optional<WorkerId> holder;  // none: taken
    int64_t parts = 0;               // done, of kParts
  };
  // Whole numbers, so that the sum over all leases is kept exactly by adding differences.
  static constexpr int64_t kParts = int64_t{1} << 40;
  void SetParts(Lease* lease, int64_t parts);
  void GiveBack(std::map<Fence, Lease>::iterator lease);
  void CountFailure(const Lease& lease, const absl::Status& why);
  std::string_view NameOf(const Lease& lease) const {
    return stages_.at(lease.stage).tasks.name(lease.task);
  }
  // Keeps granting_ what it says.
  void Note(jobs::NodeId stage);

  int64_t failures_max_;
  std::map<jobs::NodeId, Stage> stages_;
  std::set<jobs::NodeId> granting_;            // with a task that waits, and not paused
  std::map<uint64_t, WorkerId> ready_;         // by the order in which they became so
  std::map<WorkerId, uint64_t> ready_places_;  // in ready_
  uint64_t ready_next_ = 0;
  std::map<Fence, Lease> leases_;  // of tasks leased and taken; as many as workers and commits
  std::map<WorkerId, Fence> held_;
  std::map<WorkerId, Fence> granted_;  // the last lease of each worker that was not lost
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_RUN_SCHEDULER_H_
