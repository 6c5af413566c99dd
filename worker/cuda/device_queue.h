// Collectives of a rank on a stream of their own, one after the other, beside the stream that
// computes: what comes before which, what of it has ended, and what has gone wrong.
// nccl_collectives.h has the rules as its users see them.
#ifndef HALCYON_WORKER_CUDA_DEVICE_QUEUE_H_
#define HALCYON_WORKER_CUDA_DEVICE_QUEUE_H_

#include <c10/cuda/CUDAStream.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "cluster/collective_log.h"
#include "worker/cuda/cuda_events.h"
#include "worker/cuda/gpu_plugin.h"
#include "worker/cuda/nccl_groups.h"

namespace halcyon::worker {

// Used from one thread at a time; Current from any. A thread of its own looks for faults and for a
// collective that does not end.
class DeviceQueue {
 public:
  // Puts a collective on the stream; an ncclResult_t.
  using Submit = std::function<int(ncclComm*, CUstream_st*)>;

  // Of rank `rank` of `ranks`.
  DeviceQueue(const GpuCollectivesOptions& options, int rank, int ranks,
              std::unique_ptr<NcclGroups> groups);
  // Waits on the host for all that was started.
  ~DeviceQueue();
  DeviceQueue(const DeviceQueue&) = delete;
  DeviceQueue& operator=(const DeviceQueue&) = delete;

  // Behind what the current stream holds.
  cluster::Pending Start(const std::string& name, cluster::Group group,
                         cluster::CollectiveLog::Traffic traffic, const Submit& submit);
  // Waits on the host until all that was started has ended, or the first fault.
  absl::Status Drain();

  const c10::cuda::CUDAStream& stream() const { return stream_; }
  uint64_t order_digest() const;
  cluster::CollectiveFigures TakeFigures();
  std::string Current() const;
  cluster::CollectiveStanding Standing() const;

 private:
  // A collective on the stream: between two events, which others use when it is done.
  struct Started {
    CUevent_st *begin = nullptr, *end = nullptr;
    bool is_on_stream = false;  // both events are recorded
    bool done = false;
  };
  class WaitOnStream;

  absl::Status TakeEvents(Started& started) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Put(const Started& started, cluster::Group group, const std::string& name,
                   const Submit& submit);
  absl::Status WaitFor(const Started& started);
  // Takes those from the log that have ended.
  void Retire() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The fault, with the oldest collective's name.
  absl::Status Annotated(const absl::Status& fault) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Watch();
  void LookForFaults();
  // kUnavailable when the oldest has lasted for too long; notes one that lasts.
  absl::Status LookForDelay();
  int64_t NowMs() const { return clock_->MonotonicMs(); }

  Clock* const clock_ = Clock::Real();
  const GpuCollectivesOptions options_;
  const int rank_, ranks_;
  const std::unique_ptr<NcclGroups> groups_;
  const c10::cuda::CUDAStream stream_;
  CUevent_st* inputs_ready_ = nullptr;  // of the thread that starts collectives

  mutable Mutex mutex_;
  ConditionVariable changed_;
  CudaEvents events_ ABSL_GUARDED_BY(mutex_);
  cluster::CollectiveLog log_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<Started>> started_ ABSL_GUARDED_BY(mutex_);  // as in the log
  absl::Status broken_ ABSL_GUARDED_BY(mutex_);                           // the first error
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;

  uint64_t noted_ = 0;  // by the watching thread: the collective that was noted last
  std::jthread watch_;  // last: it uses all the others
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_CUDA_DEVICE_QUEUE_H_
