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

// As a device's threads make a row, each from its counter.
TEST(PhiloxNumbers, CountersFillARowAndNothingBesideIt) {
  const PhiloxStream stream(7, NoiseStream::kHeadNoise, 3, 5);
  const PhiloxKey key = {{stream.key()[0], stream.key()[1]}};
  for (const auto& [first, width] : kNoiseCases) {
    std::vector<float> expected(width), normals(width), row(width + 2, -7.0f);
    const uint64_t last = (first + width - 1) / 4;
    for (uint64_t counter = first / 4; counter <= last + 1; ++counter) {
      FillFromCounter<false>(counter, key, 3, 5, first, width, &row[1]);
      FillFromCounter<true>(counter, key, 3, 5, first, width, normals.data());
    }
    stream.FillUniform(first, expected);
    EXPECT_EQ(std::vector<float>(row.begin() + 1, row.end() - 1), expected) << first;
    EXPECT_EQ(row.front(), -7);
    EXPECT_EQ(row.back(), -7);
    stream.FillNormal(first, expected);
    for (int64_t i = 0; i < width; ++i) EXPECT_NEAR(normals[i], expected[i], 1e-6);
  }
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
