#include "tests/worker/simulated_gpu/simulated_collectives.h"

#include "base/check.h"
#include "tests/cluster/forwarding_collectives.h"
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

class SimulatedCollectives final : public cluster::ForwardingCollectives {
 public:
  using ForwardingCollectives::ForwardingCollectives;
  Pending AllGather(Group group, ConstBuffer in, Buffer out, std::string_view what) override {
    return gang().AllGather(group, OnHost(in), OnHost(out), what);
  }
  Pending ReduceScatterSum(Group group, ConstBuffer in, Buffer out,
                           std::string_view what) override {
    return gang().ReduceScatterSum(group, OnHost(in), OnHost(out), what);
  }
};

}  // namespace

std::unique_ptr<cluster::Collectives> MakeSimulatedCollectives(cluster::Collectives* host) {
  return std::make_unique<SimulatedCollectives>(host);
}

}  // namespace halcyon::worker
