#include "tests/model/kernels/device_kernels_contract.h"

namespace halcyon::model {

INSTANTIATE_TEST_SUITE_P(Cuda, DeviceKernelsContract, testing::Values(c10::Device(c10::kCUDA, 0)));

namespace {

std::vector<float> NormalNumbers(int64_t count, uint64_t seed) {
  std::vector<float> values(count);
  PhiloxStream(seed, NoiseStream::kEvaluation, 0, 0).FillNormal(0, values);
  return values;
}

struct EnergyCase {
  int64_t count, positions, latent;
  double alpha, noise;
};

// Where the contract has no closed form: against the CPU, whose own tests have quadratures.
class CudaEnergyTest : public testing::TestWithParam<EnergyCase> {};

TEST_P(CudaEnergyTest, AgreesWithTheCpu) {
  const auto& [count, positions, latent, alpha, noise] = GetParam();
  const at::Tensor samples =
      at::tensor(NormalNumbers(count * positions * latent, 1)).view({count, positions, latent});
  const at::Tensor mean =
      at::tensor(NormalNumbers(positions * latent, 2)).view({positions, latent});
  const at::Tensor std =
      noise * at::exp(0.7 * at::tensor(NormalNumbers(positions * latent, 3)).view_as(mean));
  // The last position's samples coincide.
  samples.select(1, positions - 1).copy_(samples[0][positions - 1].expand({count, latent}).clone());

  const EnergyPass expected = KernelsFor(c10::kCPU).Energy({samples, mean, std, {}, alpha});
  const EnergyPass found =
      KernelsFor(c10::kCUDA).Energy({samples.cuda(), mean.cuda(), std.cuda(), {}, alpha});
  const at::Tensor scale = expected.target;
  EXPECT_TRUE(((found.target.cpu() - expected.target).abs() <= 1e-5 * scale).all().item<bool>());
  EXPECT_TRUE(at::allclose(found.spread.cpu(), expected.spread, 1e-5, 0));
  EXPECT_TRUE(((found.energy.cpu() - expected.energy).abs() <= 2e-5 * scale).all().item<bool>());
  const double largest = expected.gradient.abs().max().item<double>();
  EXPECT_TRUE(at::allclose(found.gradient.cpu(), expected.gradient, 0, 1e-4 * largest));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, CudaEnergyTest,
    testing::Values(EnergyCase{8, 1020, 128, 1.0, 0.3}, EnergyCase{2, 3, 1, 1.0, 1.0},
                    EnergyCase{5, 7, 2, 0.5, 1e-4}, EnergyCase{12, 9, 33, 1.9, 50.0},
                    EnergyCase{40, 5, 10, 2.0, 1.0}, EnergyCase{8, 65, 256, 1.5, 0.01}));

// What FSDP does at a step's end: many calls in a row on a stream that is behind.
TEST(CudaKernels, ResultsAreThereForWhatFollowsOnTheStream) {
  const at::TensorOptions options = at::TensorOptions(at::kFloat).device(c10::kCUDA, 0);
  const at::Tensor values = at::ones({1 << 20}, options);
  const at::Tensor sums = at::zeros({50}, options.dtype(at::kDouble));
  for (int64_t i = 0; i < 50; ++i) {
    KernelsFor(values.device()).SumOfSquares(values, sums.narrow(0, i, 1));
    values.add_(1);
  }
  const at::Tensor on_host = sums.cpu();
  for (int64_t i = 0; i < 50; ++i) {
    EXPECT_EQ(on_host[i].item<double>(), static_cast<double>((i + 1) * (i + 1)) * (1 << 20));
  }
}

}  // namespace
}  // namespace halcyon::model
