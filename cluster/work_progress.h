// How far a worker's own thread is, for its heartbeats: the thread that does the work says so, and
// the thread that sends heartbeats only reads it. A heartbeat alone tells that a process answers;
// this tells whether its work goes on.
#ifndef HALCYON_CLUSTER_WORK_PROGRESS_H_
#define HALCYON_CLUSTER_WORK_PROGRESS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/mutex.h"
#include "cluster/collectives.h"
#include "cluster/messages.h"

namespace halcyon::cluster {

enum class WorkPhase : uint8_t {
  kStarting,
  kLoading,     // inputs, a checkpoint
  kData,        // waits for the samples of a pass
  kForward,     // of a unit
  kBackward,    // of a unit
  kCollective,  // waits for one
  kOptimizer,
  kSaving,  // a checkpoint
  kEvaluating,
  kWriting,  // the artifact
  kTask,     // of an agent
  kIdle,
};
// "forward": as Activity::phase has it.
std::string_view NameOf(WorkPhase phase);

// "step 50: reduce-scatter of block.2, number 917, for 12 s", "tokens/3"; the time is left out in
// the first second.
std::string Describe(const Activity& activity);

// Thread-safe. A call costs some 100 ns.
class WorkProgress {
 public:
  explicit WorkProgress(Clock* clock = Clock::Real());

  // The work goes on with this phase; `what` names a unit, a file, a task.
  void Enter(WorkPhase phase, std::string_view what = "");
  // The work goes on within its phase.
  void Advance();
  // The phases from here on are of this step.
  void BeginStep(uint64_t step);
  void EndSteps();

  // `standing` of the collectives that the working thread uses. While that thread waits for one,
  // the phase is the collective.
  Activity Now(const CollectiveStanding& standing = {}) const;

 private:
  Clock* const clock_;
  mutable Mutex mutex_;
  WorkPhase phase_ ABSL_GUARDED_BY(mutex_) = WorkPhase::kStarting;
  std::string what_ ABSL_GUARDED_BY(mutex_);
  int64_t step_ ABSL_GUARDED_BY(mutex_) = -1;
  uint64_t advances_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t advanced_ms_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_WORK_PROGRESS_H_
