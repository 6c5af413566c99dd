// Loads the samples of the next passes while the present one computes.
#ifndef HALCYON_WORKER_TRAINING_BATCH_FEEDER_H_
#define HALCYON_WORKER_TRAINING_BATCH_FEEDER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "worker/training/batch_plan.h"
#include "worker/training/trainee.h"

namespace halcyon::worker {

// Passes loaded ahead, at most: one is waiting while another is read.
inline constexpr size_t kLoadedMax = 2;

struct LoadedPass {
  MicroBatch plan;
  BatchTensors tensors;
  bool is_last = false;  // of its step
};

// Reads steps first, first + 1, ... last - 1 in order, each cut into passes by `plan_step`. Both
// functions are called on the feeder's thread. Next is called from one thread.
class BatchFeeder {
 public:
  using PlanStep = std::function<std::vector<MicroBatch>(uint64_t step)>;
  using Load = std::function<absl::StatusOr<BatchTensors>(const MicroBatch&)>;
  BatchFeeder(uint64_t first, uint64_t last, PlanStep plan_step, Load load);
  ~BatchFeeder();
  BatchFeeder(const BatchFeeder&) = delete;
  BatchFeeder& operator=(const BatchFeeder&) = delete;

  // The next pass; waits until it is loaded. An error of loading comes in the place of its pass,
  // and is the last thing that comes. REQUIRES: there is another pass.
  absl::StatusOr<LoadedPass> Next();
  // How long Next has waited since the last call of this.
  int64_t TakeWaitedUs() { return std::exchange(waited_us_, 0); }

 private:
  void Run();
  // Waits for room; false when the feeder closes.
  bool Add(absl::StatusOr<LoadedPass> pass);

  const uint64_t first_, last_;
  const PlanStep plan_step_;
  const Load load_;
  Clock* const clock_ = Clock::Real();
  int64_t waited_us_ = 0;  // of the thread that calls Next

  Mutex mutex_;
  ConditionVariable changed_;
  std::deque<absl::StatusOr<LoadedPass>> loaded_ ABSL_GUARDED_BY(mutex_);
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;

  std::optional<std::jthread> thread_;  // last: it uses all the others
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TRAINING_BATCH_FEEDER_H_
