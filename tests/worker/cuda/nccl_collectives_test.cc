// NCCL on one GPU, which admits one rank: the contract of collectives, on CUDA buffers, and the
// order of streams.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/cluster/collectives_contract.h"
#include "tests/cluster/forwarding_collectives.h"
#include "worker/fsdp/tensor_buffer.h"
#include "worker/gpu.h"

namespace halcyon::worker {
namespace {

using cluster::Buffer;
using cluster::Collectives;
using cluster::ConstBuffer;
using cluster::Group;
using cluster::Pending;

const c10::Device kDevice(c10::kCUDA, 0);

// Puts the contract's host buffers on the device, and what comes of them back.
class OverDeviceBuffers final : public cluster::ForwardingCollectives {
 public:
  using ForwardingCollectives::ForwardingCollectives;
  Pending AllGather(Group group, ConstBuffer in, Buffer out, std::string_view what) override {
    auto copied = std::make_shared<CopiedBack>(OnDevice(in), out);
    copied->pending = gang().AllGather(group, BufferOf(copied->in), BufferOf(copied->out), what);
    return Pending(copied);
  }
  Pending ReduceScatterSum(Group group, ConstBuffer in, Buffer out,
                           std::string_view what) override {
    auto copied = std::make_shared<CopiedBack>(OnDevice(in), out);
    copied->pending =
        gang().ReduceScatterSum(group, BufferOf(copied->in), BufferOf(copied->out), what);
    return Pending(copied);
  }

 private:
  static at::Tensor OnHost(const ConstBuffer& buffer) {
    return at::from_blob(
        const_cast<void*>(buffer.data), {static_cast<int64_t>(buffer.count)},
        buffer.type == cluster::ElementType::kFloat32 ? at::kFloat : at::kBFloat16);
  }
  static at::Tensor OnDevice(const ConstBuffer& buffer) { return OnHost(buffer).to(kDevice); }

  struct CopiedBack : public Pending::State {
    CopiedBack(const at::Tensor& sent, const Buffer& to)
        : in(sent), out(at::empty_like(OnDevice(to))), place(to) {}
    absl::Status Wait() override {
      RETURN_IF_ERROR(pending.Wait());
      OnHost(place).copy_(out);  // behind the wait, on the current stream
      return absl::OkStatus();
    }
    at::Tensor in, out;
    Buffer place;
    Pending pending;
  };
};

class NcclCollectivesTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto plugin = OpenGpuPlugin();
    ASSERT_TRUE(plugin.ok()) << plugin.status();
    auto made = (*plugin)->MakeCollectives(&host_, {.device = 0, .timeout_ms = 30'000});
    ASSERT_TRUE(made.ok()) << made.status();
    gang_ = *std::move(made);
  }

  static at::Tensor Floats(int64_t count, double value) {
    return at::full({count}, value, at::TensorOptions(at::kFloat).device(kDevice));
  }
  Pending Gather(const at::Tensor& in, const at::Tensor& out, const char* what = "values") {
    return gang_->AllGather(Group::kAll, BufferOf(in), BufferOf(out), what);
  }
  // Keeps the stream busy for some milliseconds; a tensor of zeros that is there afterwards.
  static at::Tensor SlowZero() {
    at::Tensor matrix = at::zeros({4096, 4096}, at::TensorOptions(at::kFloat).device(kDevice));
    for (int i = 0; i < 20; ++i) matrix = at::mm(matrix, matrix);
    return matrix.flatten().narrow(0, 0, 1);
  }

  cluster::SingleRank host_;
  std::unique_ptr<Collectives> gang_;
};

class NcclContractTest : public NcclCollectivesTest,
                         public testing::WithParamInterface<cluster::CollectivesContract> {};

TEST_P(NcclContractTest, FulfilsContract) {
  OverDeviceBuffers gang(gang_.get());
  GetParam().run(gang);
}

INSTANTIATE_TEST_SUITE_P(Nccl, NcclContractTest, testing::ValuesIn(cluster::kCollectivesContracts),
                         [](const auto& info) { return info.param.name; });

// The collective reads what the stream has yet to compute; what follows the wait reads its result.
TEST_F(NcclCollectivesTest, RunsBetweenWhatComesBeforeAndAfterOnTheStream) {
  const at::Tensor in = Floats(1 << 20, 1), out = Floats(1 << 20, -1);
  in.add_(SlowZero() + 6);
  Pending gather = Gather(in, out);
  const at::Tensor meanwhile = SlowZero();
  EXPECT_TRUE(gather.Wait().ok());
  const at::Tensor sum = (out + meanwhile).sum();
  in.fill_(100);  // the buffers may be used again
  EXPECT_EQ(sum.item<float>(), 7.0f * (1 << 20));
}

// Memory goes back to the allocator after the wait and is written by others at once.
TEST_F(NcclCollectivesTest, MemoryMayBeGivenBackAfterTheWait) {
  at::Tensor total = Floats(1, 0);
  double expected = 0;
  for (int round = 0; round < 200; ++round) {
    const int64_t count = 1000 + 7919 * (round % 5);
    {
      const at::Tensor in = Floats(count, round), out = at::empty_like(in);
      EXPECT_TRUE(Gather(in, out).Wait().ok());
      total += out.mean();
    }
    Floats(count, 1e9);
    expected += round;
  }
  EXPECT_NEAR(total.item<float>(), expected, 1e-3 * expected);
}

TEST_F(NcclCollectivesTest, BlockingCollectivesComeBehindWhatWasStarted) {
  const at::Tensor in = Floats(1 << 20, 3) + SlowZero(), out = Floats(1 << 20, 0);
  Pending gather = Gather(in, out, "block.3");
  std::vector<double> values = {2};
  EXPECT_TRUE(gang_->AllReduceSum(values).ok());
  EXPECT_EQ(gang_->Current(), "");
  EXPECT_TRUE(gather.Wait().ok());
  EXPECT_EQ(out.sum().item<float>(), 3.0f * (1 << 20));
}

TEST_F(NcclCollectivesTest, CountsItsCosts) {
  const at::Tensor in = Floats(1 << 20, 3), out = Floats(1 << 20, 0);
  const uint64_t before = gang_->order_digest();
  EXPECT_TRUE(Gather(in, out).Wait().ok());
  EXPECT_NE(gang_->order_digest(), before);
  EXPECT_TRUE(gang_->Barrier().ok());
  const cluster::CollectiveFigures figures = gang_->TakeFigures();
  EXPECT_EQ(figures.collectives, 1u);
  EXPECT_EQ(figures.bytes, 0u) << "a gang of one receives nothing";
  EXPECT_GE(figures.busy_us, 0);
  EXPECT_EQ(gang_->TakeFigures().collectives, 0u);
}

}  // namespace
}  // namespace halcyon::worker
