#include "tests/worker/simulated_gpu/simulated_collectives.h"

#include "base/check.h"
#include "tests/worker/simulated_gpu/simulated_gpu.h"

namespace halcyon::worker {
namespace {

using cluster::Buffer;
using cluster::ConstBuffer;
using cluster::Group;
using cluster::Pending;

void* OnHost(const void* data, size_t count, cluster::Device device) {
  HALCYON_CHECK(!device.is_host());
  return count == 0 ? nullptr : HostAlias(data);
}

ConstBuffer OnHost(ConstBuffer buffer) {
  return {OnHost(buffer.data, buffer.count, buffer.device), buffer.count, buffer.type, {}};
}

Buffer OnHost(Buffer buffer) {
  return {OnHost(buffer.data, buffer.count, buffer.device), buffer.count, buffer.type, {}};
}

class SimulatedCollectives final : public cluster::Collectives {
 public:
  explicit SimulatedCollectives(cluster::Collectives* host) : host_(host) {}

  int rank_in(Group group) const override { return host_->rank_in(group); }
  int size_of(Group group) const override { return host_->size_of(group); }
  Pending AllGather(Group group, ConstBuffer in, Buffer out, std::string_view what) override {
    return host_->AllGather(group, OnHost(in), OnHost(out), what);
  }
  Pending ReduceScatterSum(Group group, ConstBuffer in, Buffer out,
                           std::string_view what) override {
    return host_->ReduceScatterSum(group, OnHost(in), OnHost(out), what);
  }
  absl::Status AllReduceSum(std::span<double> values) override {
    return host_->AllReduceSum(values);
  }
  absl::StatusOr<std::vector<std::string>> AllGatherBytes(std::string_view bytes) override {
    return host_->AllGatherBytes(bytes);
  }
  absl::Status Barrier() override { return host_->Barrier(); }
  uint64_t order_digest() const override { return host_->order_digest(); }
  cluster::CollectiveFigures TakeFigures() override { return host_->TakeFigures(); }
  std::string Current() const override { return host_->Current(); }

 private:
  cluster::Collectives* host_;
};

}  // namespace

std::unique_ptr<cluster::Collectives> MakeSimulatedCollectives(cluster::Collectives* host) {
  return std::make_unique<SimulatedCollectives>(host);
}

}  // namespace halcyon::worker
