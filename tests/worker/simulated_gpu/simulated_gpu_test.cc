// That the simulated GPU catches what it is there for, and otherwise computes.
#include "tests/worker/simulated_gpu/simulated_gpu.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

namespace halcyon::worker {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

class SimulatedGpuTest : public testing::Test {
 protected:
  const at::TensorOptions device_ = at::TensorOptions(at::kFloat).device(kSimulatedGpu);
};

TEST_F(SimulatedGpuTest, Computes) {
  const at::Tensor a = at::arange(6, device_).view({2, 3}), b = at::ones({3, 2}, device_);
  const at::Tensor product = at::mm(a, b);
  EXPECT_EQ(product.device().type(), kSimulatedGpu);
  EXPECT_TRUE(product.cpu().equal(at::tensor({3.f, 3.f, 12.f, 12.f}).view({2, 2})));
  EXPECT_EQ(product.sum().item<float>(), 30);
}

// Views share memory, with offsets and strides of their own.
TEST_F(SimulatedGpuTest, AttentionOverPartOfAStoreIsTheCpus) {
  const at::Tensor query = at::arange(24, at::kFloat).view({1, 2, 3, 4}) * 0.1;
  const at::Tensor keys = at::arange(40, at::kFloat).view({1, 2, 5, 4}) * 0.05;
  const at::Tensor visible = at::ones({1, 1, 3, 5}, at::kBool).tril(2);
  const at::Tensor store = at::zeros({1, 2, 64, 4}, device_);
  store.narrow(2, 3, 5).copy_(keys);
  const at::Tensor part = store.narrow(2, 3, 5), device_mask = visible.to(kSimulatedGpu);
  const at::Tensor found =
      at::scaled_dot_product_attention(query.to(kSimulatedGpu), part, part, device_mask);
  EXPECT_TRUE(found.cpu().allclose(at::scaled_dot_product_attention(query, keys, keys, visible)));
}

TEST_F(SimulatedGpuTest, BackwardRunsOnAThreadOfTheDevice) {
  const at::Tensor weight = at::full({3}, 2., device_).requires_grad_(true);
  std::thread::id thread;
  weight.register_hook([&](const at::Tensor& gradient) {
    thread = std::this_thread::get_id();
    return gradient;
  });
  (weight * weight).sum().backward();
  EXPECT_TRUE(weight.grad().cpu().equal(at::full({3}, 4.f)));
  EXPECT_TRUE(thread != std::this_thread::get_id());
}

TEST_F(SimulatedGpuTest, TensorsOfTheHostAreNotMixedIn) {
  const at::Tensor a = at::ones({3}, device_);
  EXPECT_EQ((a * at::scalar_tensor(2.f)).sum().item<float>(), 6);
  try {
    (void)(a + at::ones({3}));
    FAIL() << "no error";
  } catch (const std::exception& error) {
    EXPECT_THAT(error.what(), AnyOf(HasSubstr("a tensor of the host among those of a device"),
                                    HasSubstr("at least two devices")));
  }
}

TEST_F(SimulatedGpuTest, TheHostCannotReadItsMemory) {
  const at::Tensor a = at::ones({3}, device_);
  EXPECT_DEATH(std::printf("%f", a.const_data_ptr<float>()[0]), "");
  EXPECT_EQ(static_cast<const float*>(HostAlias(a.const_data_ptr()))[0], 1);
}

}  // namespace
}  // namespace halcyon::worker
