#include "worker/cuda/device_queue.h"

#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <utility>

namespace halcyon::worker {
namespace {

using cluster::CollectiveFigures;
using cluster::Group;
using cluster::Pending;

constexpr int64_t kWatchMs = 100;
// Sleeps of a host that waits for the device: from the first to the last, doubling.
constexpr int64_t kSleepFirstUs = 20, kSleepLastUs = 1000;

}  // namespace

class DeviceQueue::WaitOnStream : public Pending::State {
 public:
  WaitOnStream(DeviceQueue* owner, std::shared_ptr<Started> started)
      : owner_(owner), started_(std::move(started)) {}
  absl::Status Wait() override { return owner_->WaitFor(*started_); }

 private:
  DeviceQueue* const owner_;
  const std::shared_ptr<Started> started_;
};

DeviceQueue::DeviceQueue(const GpuCollectivesOptions& options, int rank, int ranks,
                         std::unique_ptr<NcclGroups> groups)
    : options_(options),
      rank_(rank),
      ranks_(ranks),
      groups_(std::move(groups)),
      stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/true,
                                           static_cast<c10::DeviceIndex>(options.device))),
      watch_([this] { Watch(); }) {}

DeviceQueue::~DeviceQueue() {
  // Errors have no reader any more.
  Drain().IgnoreError();
  {
    const MutexLock lock(&mutex_);
    closing_ = true;
    changed_.NotifyAll();
  }
  watch_.join();
  const c10::cuda::CUDAGuard guard(stream_.device_index());
  if (inputs_ready_ != nullptr) cudaEventDestroy(inputs_ready_);
}

Pending DeviceQueue::Start(const std::string& name, Group group,
                           cluster::CollectiveLog::Traffic traffic, const Submit& submit) {
  const c10::cuda::CUDAGuard guard(stream_.device_index());
  auto started = std::make_shared<Started>();
  std::string numbered;
  {
    const MutexLock lock(&mutex_);
    numbered = name + ", number " + std::to_string(log_.Start(name, traffic, NowMs()));
    started_.push_back(started);
    broken_.Update(TakeEvents(*started));
    if (!broken_.ok()) return Pending(std::make_shared<WaitOnStream>(this, started));
  }
  // Without the lock: NCCL connects to other ranks at a first use, which may last.
  const absl::Status put = Put(*started, group, numbered, submit);
  const MutexLock lock(&mutex_);
  broken_.Update(put);
  started->is_on_stream = put.ok();
  return Pending(std::make_shared<WaitOnStream>(this, std::move(started)));
}

absl::Status DeviceQueue::TakeEvents(Started& started) {
  ASSIGN_OR_RETURN(started.begin, events_.Take());
  ASSIGN_OR_RETURN(started.end, events_.Take());
  return absl::OkStatus();
}

absl::Status DeviceQueue::Put(const Started& started, Group group, const std::string& name,
                              const Submit& submit) {
  const char* what = name.c_str();
  const cudaStream_t compute = c10::cuda::getCurrentCUDAStream().stream();
  if (inputs_ready_ == nullptr) {
    RETURN_IF_ERROR(
        CudaStatus(cudaEventCreateWithFlags(&inputs_ready_, cudaEventDisableTiming), what));
  }
  RETURN_IF_ERROR(CudaStatus(cudaEventRecord(inputs_ready_, compute), what));
  RETURN_IF_ERROR(CudaStatus(cudaStreamWaitEvent(stream_.stream(), inputs_ready_, 0), what));
  RETURN_IF_ERROR(CudaStatus(cudaEventRecord(started.begin, stream_.stream()), what));
  ASSIGN_OR_RETURN(ncclComm* const communicator, groups_->Of(group));
  RETURN_IF_ERROR(NcclStatus(submit(communicator, stream_.stream()), communicator, name));
  return CudaStatus(cudaEventRecord(started.end, stream_.stream()), what);
}

absl::Status DeviceQueue::WaitFor(const Started& started) {
  const MutexLock lock(&mutex_);
  RETURN_IF_ERROR(broken_);
  if (started.done) return absl::OkStatus();
  // Under the lock, so that the event is not used for another collective before the wait is there.
  const cudaStream_t compute = c10::cuda::getCurrentCUDAStream(stream_.device_index()).stream();
  broken_ = CudaStatus(cudaStreamWaitEvent(compute, started.end, 0), "waiting for a collective");
  return broken_;
}

absl::Status DeviceQueue::Drain() {
  const int64_t began_us = clock_->MonotonicUs();
  int64_t sleep_us = kSleepFirstUs;
  for (;;) {
    {
      const MutexLock lock(&mutex_);
      Retire();
      if (!broken_.ok() || started_.empty()) {
        log_.AddWaited(clock_->MonotonicUs() - began_us);
        return broken_;
      }
    }
    clock_->SleepUs(sleep_us);
    sleep_us = std::min(2 * sleep_us, kSleepLastUs);
  }
}

void DeviceQueue::Retire() {
  while (!started_.empty() && started_.front()->is_on_stream) {
    Started& oldest = *started_.front();
    const cudaError_t ended = cudaEventQuery(oldest.end);
    if (ended == cudaErrorNotReady) {
      cudaGetLastError();  // or the next launch of this thread would seem to have failed
      return;
    }
    if (ended != cudaSuccess) {
      // CUDA reports a fault wherever it is asked next: it may be that of any kernel before.
      broken_.Update(Annotated(CudaStatus(ended, "reported while it was under way")));
      return;
    }
    float busy_ms = 0;
    cudaEventElapsedTime(&busy_ms, oldest.begin, oldest.end);
    log_.EndOldest(static_cast<int64_t>(1000 * busy_ms), NowMs());
    events_.Return(oldest.begin);
    events_.Return(oldest.end);
    oldest.done = true;
    started_.pop_front();
  }
}

absl::Status DeviceQueue::Annotated(const absl::Status& fault) const {
  const std::string oldest = log_.Oldest();
  if (fault.ok() || oldest.empty()) return fault;
  return MakeStatus(fault.code(), oldest + ": " + MessageOf(fault));
}

void DeviceQueue::LookForFaults() {
  const absl::Status fault = groups_->Fault();
  const absl::Status delay = LookForDelay();
  {
    const MutexLock lock(&mutex_);
    Retire();
    broken_.Update(Annotated(fault));
    broken_.Update(delay);
    if (broken_.ok()) return;
  }
  groups_->Abort();
}

absl::Status DeviceQueue::LookForDelay() {
  uint64_t slow = 0, overdue = 0;
  {
    const MutexLock lock(&mutex_);
    Retire();
    slow = log_.Overdue(NowMs(), cluster::NoteAfterMs(options_.timeout_ms));
    overdue = log_.Overdue(NowMs(), options_.timeout_ms);
  }
  // Without the lock: the notes are files.
  if (slow != 0 && slow != noted_ && options_.arrivals != nullptr) {
    options_.arrivals->Note(rank_, slow);
    noted_ = slow;
  }
  if (overdue == 0) return absl::OkStatus();
  const std::string whom = cluster::WhoIsMissing(options_.arrivals.get(), ranks_, overdue);
  const MutexLock lock(&mutex_);
  Retire();
  if (log_.Overdue(NowMs(), options_.timeout_ms) != overdue) return absl::OkStatus();  // just ended
  return Unavailable(log_.NotEnded(options_.timeout_ms, whom));
}

void DeviceQueue::Watch() {
  const c10::cuda::CUDAGuard guard(stream_.device_index());
  int64_t cpu_us = 0;
  for (;;) {
    LookForFaults();
    const int64_t used_us = ThreadCpuUs();
    const MutexLock lock(&mutex_);
    log_.AddCpu(used_us - std::exchange(cpu_us, used_us));
    const auto closes = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return closing_; };
    if (changed_.WaitFor(&mutex_, kWatchMs, closes)) return;
  }
}

uint64_t DeviceQueue::order_digest() const {
  const MutexLock lock(&mutex_);
  return log_.order_digest();
}

CollectiveFigures DeviceQueue::TakeFigures() {
  const MutexLock lock(&mutex_);
  Retire();
  return log_.TakeFigures();
}

std::string DeviceQueue::Current() const {
  const MutexLock lock(&mutex_);
  return log_.Current(NowMs());
}

cluster::CollectiveStanding DeviceQueue::Standing() const {
  const MutexLock lock(&mutex_);
  return log_.Standing();
}

}  // namespace halcyon::worker
