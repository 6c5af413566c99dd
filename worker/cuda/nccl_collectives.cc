#include "worker/cuda/nccl_collectives.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "cluster/collective_log.h"
#include "worker/cuda/cuda_events.h"
#include "worker/cuda/nccl_groups.h"

namespace halcyon::worker {
namespace {

using cluster::Buffer;
using cluster::CollectiveFigures;
using cluster::CollectiveLog;
using cluster::CollectiveName;
using cluster::ConstBuffer;
using cluster::ElementType;
using cluster::Group;
using cluster::Pending;

constexpr int64_t kWatchMs = 100;
// Sleeps of a host that waits for the device: from the first to the last, doubling.
constexpr int64_t kSleepFirstUs = 20, kSleepLastUs = 1000;

ncclDataType_t NcclType(ElementType type) {
  return type == ElementType::kFloat32 ? ncclFloat32 : ncclBfloat16;
}

// A collective on its stream: between two events, which others use when it is done.
struct Started {
  cudaEvent_t begin = nullptr, end = nullptr;
  bool is_on_stream = false;  // both events are recorded
  bool done = false;
};

class NcclCollectives final : public cluster::Collectives {
 public:
  NcclCollectives(cluster::Collectives* host, const GpuCollectivesOptions& options,
                  std::unique_ptr<NcclGroups> groups)
      : host_(host),
        options_(options),
        groups_(std::move(groups)),
        stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/true,
                                             static_cast<c10::DeviceIndex>(options.device))),
        watch_([this] { Watch(); }) {}
  ~NcclCollectives() override;
  NcclCollectives(const NcclCollectives&) = delete;
  NcclCollectives& operator=(const NcclCollectives&) = delete;

  int rank_in(Group group) const override { return host_->rank_in(group); }
  int size_of(Group group) const override { return host_->size_of(group); }
  Pending AllGather(Group group, ConstBuffer in, Buffer out, std::string_view what) override;
  Pending ReduceScatterSum(Group group, ConstBuffer in, Buffer out, std::string_view what) override;
  absl::Status AllReduceSum(std::span<double> values) override {
    RETURN_IF_ERROR(Drain());
    return host_->AllReduceSum(values);
  }
  absl::StatusOr<std::vector<std::string>> AllGatherBytes(std::string_view bytes) override {
    RETURN_IF_ERROR(Drain());
    return host_->AllGatherBytes(bytes);
  }
  absl::Status Barrier() override {
    RETURN_IF_ERROR(Drain());
    return host_->Barrier();
  }
  uint64_t order_digest() const override;
  CollectiveFigures TakeFigures() override;
  std::string Current() const override;

 private:
  class WaitOnStream;
  using Submit = std::function<int(ncclComm*, cudaStream_t)>;

  Pending Start(std::string_view kind, Group group, std::string_view what,
                CollectiveLog::Traffic traffic, const Submit& submit);
  // Between events, behind what the current stream holds. The name is that of errors.
  absl::Status Put(const Started& started, Group group, const std::string& name,
                   const Submit& submit);
  absl::Status TakeEvents(Started& started) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsOnDevice(const ConstBuffer& buffer) const {
    return buffer.count == 0 || buffer.device.cuda == stream_.device_index();
  }
  // A copy of bfloat16 values, made on this stream.
  at::Tensor InFloat32(ConstBuffer in) const;
  absl::Status WaitFor(const Started& started);
  // Waits on the host until all that was started has ended.
  absl::Status Drain();
  // Takes those from the log that have ended.
  void Retire() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The fault, with the oldest collective's name.
  absl::Status Annotated(const absl::Status& fault) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Watch();
  void LookForFaults();
  int64_t NowMs() const { return clock_->MonotonicMs(); }

  Clock* const clock_ = Clock::Real();
  cluster::Collectives* const host_;
  const GpuCollectivesOptions options_;
  const std::unique_ptr<NcclGroups> groups_;
  const c10::cuda::CUDAStream stream_;
  cudaEvent_t inputs_ready_ = nullptr;  // of the thread that starts collectives

  mutable Mutex mutex_;
  ConditionVariable changed_;
  CudaEvents events_ ABSL_GUARDED_BY(mutex_);
  CollectiveLog log_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<Started>> started_ ABSL_GUARDED_BY(mutex_);  // as in the log
  absl::Status broken_ ABSL_GUARDED_BY(mutex_);                           // the first error
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;

  std::jthread watch_;  // last: it uses all the others
};

class NcclCollectives::WaitOnStream : public Pending::State {
 public:
  WaitOnStream(NcclCollectives* owner, std::shared_ptr<Started> started)
      : owner_(owner), started_(std::move(started)) {}
  absl::Status Wait() override { return owner_->WaitFor(*started_); }

 private:
  NcclCollectives* const owner_;
  const std::shared_ptr<Started> started_;
};

NcclCollectives::~NcclCollectives() {
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

Pending NcclCollectives::Start(std::string_view kind, Group group, std::string_view what,
                               CollectiveLog::Traffic traffic, const Submit& submit) {
  const c10::cuda::CUDAGuard guard(stream_.device_index());
  const std::string name = CollectiveName(kind, group, what);
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

absl::Status NcclCollectives::TakeEvents(Started& started) {
  ASSIGN_OR_RETURN(started.begin, events_.Take());
  ASSIGN_OR_RETURN(started.end, events_.Take());
  return absl::OkStatus();
}

absl::Status NcclCollectives::Put(const Started& started, Group group, const std::string& name,
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

Pending NcclCollectives::AllGather(Group group, ConstBuffer in, Buffer out, std::string_view what) {
  HALCYON_CHECK(out.count == in.count * size_of(group) && in.type == out.type);
  HALCYON_CHECK(IsOnDevice(in) && IsOnDevice(out));
  return Start("all-gather", group, what, {in.bytes(), out.bytes() - in.bytes()},
               [=](ncclComm* communicator, cudaStream_t stream) -> int {
                 if (in.count == 0) return ncclSuccess;
                 return ncclAllGather(in.data, out.data, in.count, NcclType(in.type), communicator,
                                      stream);
               });
}

Pending NcclCollectives::ReduceScatterSum(Group group, ConstBuffer in, Buffer out,
                                          std::string_view what) {
  HALCYON_CHECK(in.count == out.count * size_of(group) && out.type == ElementType::kFloat32);
  HALCYON_CHECK(IsOnDevice(in) && IsOnDevice(out));
  return Start("reduce-scatter", group, what,
               {out.bytes(), in.bytes() - out.count * BytesOf(in.type)},
               [=, this](ncclComm* communicator, cudaStream_t stream) -> int {
                 if (in.count == 0) return ncclSuccess;
                 const void* from = in.data;
                 // Its memory belongs to this stream, and goes to what comes later on it.
                 at::Tensor floats;
                 if (in.type == ElementType::kBFloat16) {
                   floats = InFloat32(in);
                   from = floats.const_data_ptr();
                 }
                 return ncclReduceScatter(from, out.data, out.count, ncclFloat32, ncclSum,
                                          communicator, stream);
               });
}

at::Tensor NcclCollectives::InFloat32(ConstBuffer in) const {
  const c10::cuda::CUDAStreamGuard on_this_stream(stream_);
  const at::Tensor values =
      at::from_blob(const_cast<void*>(in.data), {static_cast<int64_t>(in.count)},
                    at::TensorOptions(at::kBFloat16).device(c10::kCUDA, stream_.device_index()));
  return values.to(at::kFloat);
}

absl::Status NcclCollectives::WaitFor(const Started& started) {
  const MutexLock lock(&mutex_);
  RETURN_IF_ERROR(broken_);
  if (started.done) return absl::OkStatus();
  // Under the lock, so that the event is not used for another collective before the wait is there.
  const cudaStream_t compute = c10::cuda::getCurrentCUDAStream(stream_.device_index()).stream();
  broken_ = CudaStatus(cudaStreamWaitEvent(compute, started.end, 0), "waiting for a collective");
  return broken_;
}

absl::Status NcclCollectives::Drain() {
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

void NcclCollectives::Retire() {
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

absl::Status NcclCollectives::Annotated(const absl::Status& fault) const {
  const std::string oldest = log_.Oldest();
  if (fault.ok() || oldest.empty()) return fault;
  return MakeStatus(fault.code(), oldest + ": " + MessageOf(fault));
}

void NcclCollectives::LookForFaults() {
  const absl::Status fault = groups_->Fault();
  {
    const MutexLock lock(&mutex_);
    Retire();
    broken_.Update(Annotated(fault));
    const std::string overdue = log_.Overdue(NowMs(), options_.timeout_ms);
    if (!overdue.empty()) broken_.Update(Unavailable(overdue));
    if (broken_.ok()) return;
  }
  groups_->Abort();
}

void NcclCollectives::Watch() {
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

uint64_t NcclCollectives::order_digest() const {
  const MutexLock lock(&mutex_);
  return cluster::NextOrderDigest(log_.order_digest(), "on the host", host_->order_digest());
}

CollectiveFigures NcclCollectives::TakeFigures() {
  const CollectiveFigures on_host = host_->TakeFigures();
  const MutexLock lock(&mutex_);
  Retire();
  CollectiveFigures figures = log_.TakeFigures();
  figures.collectives += on_host.collectives;
  figures.bytes += on_host.bytes;
  figures.busy_us += on_host.busy_us;
  figures.waited_us += on_host.waited_us;
  figures.cpu_us += on_host.cpu_us;
  return figures;
}

std::string NcclCollectives::Current() const {
  {
    const MutexLock lock(&mutex_);
    if (std::string oldest = log_.Oldest(); !oldest.empty()) return oldest;
  }
  return host_->Current();
}

}  // namespace

absl::StatusOr<std::unique_ptr<cluster::Collectives>> MakeNcclCollectives(
    cluster::Collectives* host, const GpuCollectivesOptions& options) {
  RETURN_IF_ERROR(CudaStatus(cudaSetDevice(options.device), "choosing the device"));
  ASSIGN_OR_RETURN(auto groups, NcclGroups::Make(host));
  return std::make_unique<NcclCollectives>(host, options, std::move(groups));
}

}  // namespace halcyon::worker
