// Loads the samples of the next passes while the present one computes, and takes them to the
// device.
#ifndef HALCYON_WORKER_TRAINING_BATCH_FEEDER_H_
#define HALCYON_WORKER_TRAINING_BATCH_FEEDER_H_

#include <c10/core/Device.h>
#include <c10/core/Event.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "pipeline/samples/sample_digest.h"
#include "worker/training/batch_plan.h"
#include "worker/training/trainee.h"

namespace halcyon::worker {

// Passes loaded ahead, at most: one is waiting while another is read.
inline constexpr size_t kLoadedMax = 2;

struct LoadedPass {
  MicroBatch plan;
  BatchTensors tensors;         // on the device
  pipeline::SampleDigest used;  // of its samples, but for those that only fill it up
  bool is_last = false;         // of its step
};

// Reads steps first, first + 1, ... last - 1 in order, each cut into passes by `plan_step`. Both
// functions are called on the feeder's thread. Next is called from one thread.
//
// To a GPU, batches are copied from pinned memory on a stream of the feeder's own; Next makes the
// caller's current stream wait for the copy.
class BatchFeeder {
 public:
  using PlanStep = std::function<std::vector<MicroBatch>(uint64_t step)>;
  using Load = std::function<absl::StatusOr<BatchTensors>(const MicroBatch&)>;
  BatchFeeder(uint64_t first, uint64_t last, PlanStep plan_step, Load load,
              c10::Device device = c10::kCPU);
  ~BatchFeeder();
  BatchFeeder(const BatchFeeder&) = delete;
  BatchFeeder& operator=(const BatchFeeder&) = delete;

  // The next pass; waits until it is loaded. An error of loading comes in the place of its pass,
  // and is the last thing that comes. REQUIRES: there is another pass.
  absl::StatusOr<LoadedPass> Next();
  // How long Next has waited since the last call of this.
  int64_t TakeWaitedUs() { return std::exchange(waited_us_, 0); }

 private:
  // `copied`: when the tensors are on the device; none on the host.
  struct Loaded {
    absl::StatusOr<LoadedPass> pass;
    std::optional<c10::Event> copied;
  };

  void Run();
  void LoadAll();
  // Waits for room; false when the feeder closes.
  bool Add(absl::StatusOr<LoadedPass> pass);
  std::optional<c10::Event> CopyToDevice(BatchTensors* tensors);

  const uint64_t first_, last_;
  const PlanStep plan_step_;
  const Load load_;
  const c10::Device device_;
  Clock* const clock_ = Clock::Real();
  int64_t waited_us_ = 0;  // of the thread that calls Next

  Mutex mutex_;
  ConditionVariable changed_;
  std::deque<Loaded> loaded_ ABSL_GUARDED_BY(mutex_);
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;

  std::optional<std::jthread> thread_;  // last: it uses all the others
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TRAINING_BATCH_FEEDER_H_
