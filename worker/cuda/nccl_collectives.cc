#include "worker/cuda/nccl_collectives.h"

#include <ATen/ops/from_blob.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "worker/cuda/cuda_events.h"
#include "worker/cuda/device_queue.h"

namespace halcyon::worker {
namespace {

using cluster::Buffer;
using cluster::CollectiveFigures;
using cluster::CollectiveName;
using cluster::ConstBuffer;
using cluster::ElementType;
using cluster::Group;
using cluster::Pending;

ncclDataType_t NcclType(ElementType type) {
  return type == ElementType::kFloat32 ? ncclFloat32 : ncclBfloat16;
}

class NcclCollectives final : public cluster::Collectives {
 public:
  NcclCollectives(cluster::Collectives* host, const GpuCollectivesOptions& options,
                  std::unique_ptr<NcclGroups> groups)
      : host_(host), queue_(options, host->rank(), host->size(), std::move(groups)) {}

  int rank_in(Group group) const override { return host_->rank_in(group); }
  int size_of(Group group) const override { return host_->size_of(group); }
  Pending AllGather(Group group, ConstBuffer in, Buffer out, std::string_view what) override;
  Pending ReduceScatterSum(Group group, ConstBuffer in, Buffer out, std::string_view what) override;
  absl::Status AllReduceSum(std::span<double> values) override {
    RETURN_IF_ERROR(queue_.Drain());
    return host_->AllReduceSum(values);
  }
  absl::StatusOr<std::vector<std::string>> AllGatherBytes(std::string_view bytes) override {
    RETURN_IF_ERROR(queue_.Drain());
    return host_->AllGatherBytes(bytes);
  }
  absl::Status Barrier() override {
    RETURN_IF_ERROR(queue_.Drain());
    return host_->Barrier();
  }
  uint64_t order_digest() const override {
    return cluster::NextOrderDigest(queue_.order_digest(), "on the host", host_->order_digest());
  }
  CollectiveFigures TakeFigures() override;
  std::string Current() const override {
    const std::string on_device = queue_.Current();
    return on_device.empty() ? host_->Current() : on_device;
  }
  cluster::CollectiveStanding Standing() const override;

 private:
  bool IsOnDevice(const ConstBuffer& buffer) const {
    return buffer.count == 0 || buffer.device.gpu == queue_.stream().device_index();
  }
  // A copy of bfloat16 values, made on the queue's stream.
  at::Tensor InFloat32(ConstBuffer in) const;

  cluster::Collectives* const host_;
  DeviceQueue queue_;
};

Pending NcclCollectives::AllGather(Group group, ConstBuffer in, Buffer out, std::string_view what) {
  HALCYON_CHECK(out.count == in.count * size_of(group) && in.type == out.type);
  HALCYON_CHECK(IsOnDevice(in) && IsOnDevice(out));
  return queue_.Start(
      CollectiveName("all-gather", group, what), group, {in.bytes(), out.bytes() - in.bytes()},
      [=](ncclComm* communicator, cudaStream_t stream) -> int {
        if (in.count == 0) return ncclSuccess;
        return ncclAllGather(in.data, out.data, in.count, NcclType(in.type), communicator, stream);
      });
}

Pending NcclCollectives::ReduceScatterSum(Group group, ConstBuffer in, Buffer out,
                                          std::string_view what) {
  HALCYON_CHECK(in.count == out.count * size_of(group) && out.type == ElementType::kFloat32);
  HALCYON_CHECK(IsOnDevice(in) && IsOnDevice(out));
  return queue_.Start(CollectiveName("reduce-scatter", group, what), group,
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
  const c10::cuda::CUDAStreamGuard on_its_stream(queue_.stream());
  const at::Tensor values = at::from_blob(
      const_cast<void*>(in.data), {static_cast<int64_t>(in.count)},
      at::TensorOptions(at::kBFloat16).device(c10::kCUDA, queue_.stream().device_index()));
  return values.to(at::kFloat);
}

// Those on the host block, and begin when all on the device have ended. So the order of both counts
// is that of their sum.
cluster::CollectiveStanding NcclCollectives::Standing() const {
  const cluster::CollectiveStanding on_host = host_->Standing();
  cluster::CollectiveStanding standing = queue_.Standing();
  if (standing.under_way != 0) {
    standing.under_way += on_host.started;
  } else if (on_host.under_way != 0) {
    standing.under_way = on_host.under_way + standing.started;
    standing.name = on_host.name;
    standing.waits = on_host.waits;
  }
  standing.started += on_host.started;
  standing.changes += on_host.changes;
  standing.changed_ms = std::max(standing.changed_ms, on_host.changed_ms);
  return standing;
}

CollectiveFigures NcclCollectives::TakeFigures() {
  const CollectiveFigures on_host = host_->TakeFigures();
  CollectiveFigures figures = queue_.TakeFigures();
  figures.collectives += on_host.collectives;
  figures.bytes += on_host.bytes;
  figures.busy_us += on_host.busy_us;
  figures.waited_us += on_host.waited_us;
  figures.cpu_us += on_host.cpu_us;
  return figures;
}

}  // namespace

absl::StatusOr<std::unique_ptr<cluster::Collectives>> MakeNcclCollectives(
    cluster::Collectives* host, const GpuCollectivesOptions& options) {
  RETURN_IF_ERROR(CudaStatus(cudaSetDevice(options.device), "choosing the device"));
  ASSIGN_OR_RETURN(auto groups, NcclGroups::Make(host));
  return std::make_unique<NcclCollectives>(host, options, std::move(groups));
}

}  // namespace halcyon::worker
