// Which worker does which task: tasks, leases and failures of the data stages. Pure: events in,
// decisions out; no clock, no I/O, no randomness. Not thread-safe.
//
//   task:  waiting -> leased -> done
//          leased -> waiting   its worker failed, is lost, or reports that it has nothing to do
//
// Invariants:
//   - a leased task has one holder and one fence; a worker holds at most one lease;
//   - fences grow with every grant, so a result is the task's own exactly when its fence is;
//   - a task that is done stays done.
#ifndef HALCYON_COORDINATOR_SCHEDULER_H_
#define HALCYON_COORDINATOR_SCHEDULER_H_

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/status.h"

namespace halcyon::coordinator {

// Whether a failure with this code would recur with any worker: it ends the job at once.
bool EndsJob(absl::StatusCode code);

struct Grant {
  std::string task;
  WorkerId worker;
  Fence fence;
};

class Scheduler {
 public:
  // A task that failed or lost its worker more than `failures_max` times fails the job.
  explicit Scheduler(int64_t failures_max) : failures_max_(failures_max) {}

  // Forgets all tasks (the ready workers stay) and takes these, in the order to hand them out.
  // What a worker still does for a forgotten task is refused later by its fence.
  void SetTasks(const std::vector<std::string>& tasks);

  // The worker has nothing to do. A lease that it holds goes back: its result was lost.
  void Ready(const WorkerId& worker);
  // The worker's process is gone or has stopped sending. Its lease goes back and counts as a
  // failure of the task, unless `counts` is false (a pause of this process was the cause).
  void Lost(const WorkerId& worker, bool counts = true);

  // Whether a task and a worker wait for each other.
  bool CanGrant() const { return !waiting_.empty() && !ready_.empty(); }
  // Leases the first waiting task to the worker that is ready for longest.
  // REQUIRES: CanGrant(); `fence` is above every earlier one.
  Grant GrantNext(Fence fence);

  // Whether a message about the task carries the fence of its present lease.
  bool IsCurrent(const std::string& task, Fence fence, const WorkerId& worker) const;
  // REQUIRES for these three: IsCurrent.
  void Progress(const std::string& task, double fraction);
  void Done(const std::string& task);
  void Failed(const std::string& task, const absl::Status& why);

  // Not OK when a task failed for good; the message names the task.
  const absl::Status& failure() const { return failure_; }
  bool all_done() const { return done_ == tasks_.size(); }
  size_t tasks() const { return tasks_.size(); }
  size_t done() const { return done_; }
  // Of all tasks, counting the parts of those in progress. 1 when there is none.
  double fraction() const;
  std::optional<std::string> TaskOf(const WorkerId& worker) const;

 private:
  struct Task {
    size_t order = 0;
    bool done = false;
    bool leased = false;
    WorkerId holder{};
    Fence fence{};
    double fraction = 0;
    int64_t failures = 0;
  };
  void GiveBack(const std::string& name);
  void CountFailure(const std::string& name, const absl::Status& why);

  int64_t failures_max_;
  std::map<std::string, Task> tasks_;
  std::map<size_t, std::string> waiting_;  // by order
  std::deque<WorkerId> ready_;
  std::map<WorkerId, std::string> leases_;
  size_t done_ = 0;
  Fence last_fence_;
  absl::Status failure_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_SCHEDULER_H_
