#include <ATen/Parallel.h>

#include "base/philox_numbers.h"
#include "tests/model/kernels/device_kernels_contract.h"

namespace halcyon::model {
namespace {

INSTANTIATE_TEST_SUITE_P(Cpu, DeviceKernelsContract, testing::Values(c10::Device(c10::kCPU)));

TEST(CpuKernels, SumOfSquaresDoesNotDependOnThreads) {
  std::vector<float> values(300'001);
  PhiloxStream(3, NoiseStream::kEvaluation, 0, 0).FillNormal(0, values);
  const at::Tensor sums = at::zeros({2}, at::kDouble);
  const int before = at::get_num_threads();
  for (const int threads : {1, 3}) {
    at::set_num_threads(threads);
    KernelsFor(c10::kCPU).SumOfSquares(at::tensor(values), sums.narrow(0, threads / 2, 1));
  }
  at::set_num_threads(before);
  EXPECT_EQ(sums[0].item<double>(), sums[1].item<double>());
}

// The arithmetic of a device's normal numbers, on the host: beside it the device adds only its own
// logarithm, in double.
TEST(PhiloxNumbers, NormalsOfDevicesAreWithinTwoUlpOfTheCpus) {
  std::vector<float> expected(2'000'000);
  std::vector<uint32_t> bits(expected.size());
  const PhiloxStream stream(1, NoiseStream::kHeadNoise, 0, 5);
  stream.FillNormal(0, expected);
  stream.FillBits(0, bits);
  int64_t furthest = 0;
  for (size_t i = 0; i < expected.size(); i += 2) {
    float normals[2];
    PhiloxNormals(&bits[i], normals);
    for (size_t j = 0; j < 2; ++j) {
      furthest = std::max<int64_t>(furthest, std::abs(int64_t{std::bit_cast<int32_t>(normals[j])} -
                                                      std::bit_cast<int32_t>(expected[i + j])));
    }
  }
  EXPECT_LE(furthest, 2);
}

// The ends of the range: no logarithm of zero, angles next to a whole turn.
TEST(PhiloxNumbers, NormalsOfTheSmallestAndLargestBitsAreFinite) {
  for (const uint32_t radius : {0u, 0xFFFFFFFFu}) {
    for (const uint32_t angle : {0u, 0xFFFFFFFFu, 0x3FFFFFFFu, 0x40000000u, 0x80000000u}) {
      const uint32_t bits[2] = {radius, angle};
      float normals[2];
      PhiloxNormals(bits, normals);
      const double turn = 2 * std::numbers::pi_v<float> * PhiloxUniform(angle);
      const double length = std::sqrt(-2 * std::log(1.0 - PhiloxUniform(radius)));
      EXPECT_NEAR(normals[0], length * std::cos(turn), 1e-5);
      EXPECT_NEAR(normals[1], length * std::sin(turn), 1e-5);
    }
  }
}

}  // namespace
}  // namespace halcyon::model
