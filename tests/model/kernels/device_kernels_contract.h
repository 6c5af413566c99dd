// What every table of kernels (model/kernels/device_kernels.h) must do, against exact values or
// float64. Include it in one file of a test program and instantiate DeviceKernelsContract with the
// devices to test.
#ifndef HALCYON_TESTS_MODEL_KERNELS_DEVICE_KERNELS_CONTRACT_H_
#define HALCYON_TESTS_MODEL_KERNELS_DEVICE_KERNELS_CONTRACT_H_

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "model/kernels/device_kernels.h"
#include "model/noise.h"

namespace halcyon::model {

class DeviceKernelsContract : public testing::TestWithParam<c10::Device> {
 protected:
  const DeviceKernels& kernels() const { return KernelsFor(GetParam()); }
  at::TensorOptions Options(at::ScalarType type) const {
    return at::TensorOptions(type).device(GetParam());
  }
  at::Tensor Put(const at::Tensor& on_host) const { return on_host.to(GetParam()); }
  at::Tensor Put(const std::vector<float>& values) const { return Put(at::tensor(values)); }

  template <typename T>
  std::vector<T> Get(const at::Tensor& tensor) const {
    const at::Tensor on_host = tensor.cpu().contiguous();
    return {on_host.const_data_ptr<T>(), on_host.const_data_ptr<T>() + on_host.numel()};
  }

  // Standard normal numbers, from the CPU.
  static std::vector<float> Normals(size_t count, uint64_t seed) {
    std::vector<float> values(count);
    PhiloxStream(seed, NoiseStream::kEvaluation, 0, 0).FillNormal(0, values);
    return values;
  }

  // What FillRows must give: each row by PhiloxStream.
  static std::vector<float> Rows(const RowNumbers& numbers, size_t width) {
    std::vector<float> all(numbers.samples.size() * width);
    for (size_t row = 0; row < numbers.samples.size(); ++row) {
      const PhiloxStream stream(numbers.seed, numbers.stream, numbers.step, numbers.samples[row]);
      const std::span<float> place(all.data() + row * width, width);
      if (numbers.law == RowNumbers::Law::kUniform) {
        stream.FillUniform(numbers.first, place);
      } else {
        stream.FillNormal(numbers.first, place);
      }
    }
    return all;
  }

  std::vector<float> Filled(const RowNumbers& numbers, int64_t width) const {
    const at::Tensor out =
        at::full({static_cast<int64_t>(numbers.samples.size()), width}, -7.0, Options(at::kFloat));
    kernels().FillRows(numbers, out);
    return Get<float>(out);
  }
};

struct NoiseCase {
  uint64_t first;
  int64_t width;
};
// Parts of counter blocks at either end, counters beyond 32 bits.
inline constexpr NoiseCase kNoiseCases[] = {
    {0, 1}, {0, 4}, {1, 2}, {2, 9}, {3, 1000}, {1ull << 34, 7}, {(1ull << 36) + 3, 5}};

TEST_P(DeviceKernelsContract, UniformNumbersAreThoseOfTheStream) {
  // More rows than travel with one launch; the largest id.
  std::vector<uint64_t> samples = {5, 0, 0xFFFFFFFFu};
  while (samples.size() < 1030) samples.push_back(samples.size() * 7919);
  for (const NoiseCase& noise : kNoiseCases) {
    const RowNumbers numbers = {.seed = 7,
                                .stream = NoiseStream::kHeadNoise,
                                .step = 0xFFFFFFFFu,
                                .samples = samples,
                                .first = noise.first,
                                .law = RowNumbers::Law::kUniform};
    EXPECT_EQ(Filled(numbers, noise.width), Rows(numbers, noise.width))
        << noise.first << " " << noise.width;
  }
}

TEST_P(DeviceKernelsContract, NormalNumbersAreWithinTwoUlpOfTheStream) {
  const std::vector<uint64_t> samples = {3, 1, 2};
  for (const NoiseCase& noise : {NoiseCase{1, 2}, NoiseCase{3, 9}, NoiseCase{0, 200'000}}) {
    const RowNumbers numbers = {.seed = 11,
                                .stream = NoiseStream::kPosterior,
                                .step = 2,
                                .samples = samples,
                                .first = noise.first,
                                .law = RowNumbers::Law::kNormal};
    const std::vector<float> found = Filled(numbers, noise.width);
    const std::vector<float> expected = Rows(numbers, noise.width);
    for (size_t i = 0; i < expected.size(); ++i) {
      // Neighbours in value are neighbours as integers, on either side of zero.
      const int64_t distance = static_cast<int64_t>(std::bit_cast<int32_t>(found[i])) -
                               std::bit_cast<int32_t>(expected[i]);
      ASSERT_LE(std::abs(distance), 2) << i << ": " << found[i] << " and " << expected[i];
    }
  }
}

TEST_P(DeviceKernelsContract, NoiseRowsAreMadeOnTheDevice) {
  const NoiseRows noise{7, NoiseStream::kHeadNoise, 3, {5, 2}};
  const at::Tensor uniform = noise.With(NoiseStream::kPosterior).Uniform({3, 2}, GetParam(), 1);
  EXPECT_EQ(uniform.device(), GetParam());
  EXPECT_EQ(uniform.sizes(), at::IntArrayRef({2, 3, 2}));
  const RowNumbers numbers = {
      .seed = 7, .stream = NoiseStream::kPosterior, .step = 3, .samples = noise.rows, .first = 1};
  EXPECT_EQ(Get<float>(uniform), Rows(numbers, 6));
  EXPECT_EQ(noise.Normal({4}, GetParam()).device(), GetParam());
}

TEST_P(DeviceKernelsContract, AdamWFollowsFloat64) {
  jobs::TrainSpec train;
  train.epsilon = 0.01;  // large enough to show where it is added
  constexpr double kScale = 0.7;
  for (const size_t size : {1u, 101u, 70'001u}) {
    const std::vector<float> first = Normals(size, 2);
    std::vector<double> value(first.begin(), first.end()), m(size), v(size);
    std::vector<uint8_t> decays(size);
    for (size_t i = 0; i < size; ++i) decays[i] = i % 2;
    const at::Tensor none = at::zeros({static_cast<int64_t>(size)}, Options(at::kFloat));
    AdamWArrays arrays = {Put(first), none.clone(), none.clone(), none, Put(at::tensor(decays))};
    for (uint64_t update = 1; update <= 12; ++update) {
      const double rate = 0.01 / static_cast<double>(update);
      const std::vector<float> gradient = Normals(size, 10 + update);
      arrays.gradient = Put(gradient);
      kernels().AdamW({train, rate, update, kScale}, arrays);
      for (size_t i = 0; i < size; ++i) {
        const double g = kScale * gradient[i];
        if (decays[i]) value[i] -= rate * train.weight_decay * value[i];
        m[i] = train.beta1 * m[i] + (1 - train.beta1) * g;
        v[i] = train.beta2 * v[i] + (1 - train.beta2) * g * g;
        const double unbiased_m = m[i] / (1 - std::pow(train.beta1, update));
        const double unbiased_v = v[i] / (1 - std::pow(train.beta2, update));
        value[i] -= rate * unbiased_m / (std::sqrt(unbiased_v) + train.epsilon);
      }
    }
    const auto found = Get<float>(arrays.value), found_m = Get<float>(arrays.exp_avg),
               found_v = Get<float>(arrays.exp_avg_sq);
    for (size_t i = 0; i < size; ++i) {
      ASSERT_NEAR(found[i], value[i], 2e-6) << i;
      ASSERT_NEAR(found_m[i], m[i], 1e-6) << i;
      ASSERT_NEAR(found_v[i], v[i], 1e-6) << i;
    }
  }
}

TEST_P(DeviceKernelsContract, SumsSquaresInFloat64AndInOneOrder) {
  for (const size_t size : {0u, 1u, 7u, 65'536u, 65'537u, 300'001u}) {
    std::vector<float> values = Normals(size, 3);
    // Squares that float32 would lose beside the others.
    for (size_t i = 0; i < size; i += 3) values[i] *= 1e-5f;
    double expected = 0;
    for (const float value : values) expected += double{value} * value;
    const at::Tensor array = Put(values);
    // Within a larger array, as Fsdp has it: neighbours stay.
    const at::Tensor sums = at::full({3}, -1.0, Options(at::kDouble));
    kernels().SumOfSquares(array, sums.narrow(0, 1, 1));
    const std::vector<double> found = Get<double>(sums);
    EXPECT_EQ(found[0], -1);
    EXPECT_NEAR(found[1], expected, 1e-13 * expected) << size;
    EXPECT_EQ(found[2], -1);
    kernels().SumOfSquares(array, sums.narrow(0, 2, 1));
    EXPECT_EQ(Get<double>(sums)[2], found[1]) << "the same bits again";
  }
}

// alpha = 2: every term is a closed form in any number of dimensions.
TEST_P(DeviceKernelsContract, EnergyOfSquaredDistancesIsItsClosedForm) {
  constexpr int64_t kCount = 5, kPositions = 7, kLatent = 33, kStride = kPositions * kLatent;
  const std::vector<float> samples = Normals(kCount * kStride, 1), mean = Normals(kStride, 2);
  std::vector<float> std = Normals(kStride, 3);
  for (float& value : std) value = std::exp(0.5f * value);
  const std::vector<int64_t> shape = {kPositions, kLatent};
  const EnergyPass pass = kernels().Energy({Put(samples).view({kCount, kPositions, kLatent}),
                                            Put(mean).view(shape), Put(std).view(shape),
                                            /*normal=*/{}, /*alpha=*/2.0});
  const auto energy = Get<float>(pass.energy), target = Get<float>(pass.target),
             spread = Get<float>(pass.spread), gradient = Get<float>(pass.gradient);
  for (int64_t p = 0; p < kPositions; ++p) {
    double targets = 0, spreads = 0;
    for (int64_t n = 0; n < kCount; ++n) {
      for (int64_t i = p * kLatent; i < (p + 1) * kLatent; ++i) {
        const double x = samples[n * kStride + i], offset = x - mean[i];
        targets += (offset * offset + double{std[i]} * std[i]) / kCount;
        double pull = 0;
        for (int64_t k = 0; k < kCount; ++k) {
          const double apart = x - samples[k * kStride + i];
          spreads += apart * apart / (kCount * (kCount - 1));
          pull += apart;
        }
        const double slope = 4 * offset / kCount - 4 * pull / (kCount * (kCount - 1));
        ASSERT_NEAR(gradient[n * kStride + i], slope, 1e-5);
      }
    }
    EXPECT_NEAR(target[p], targets, 1e-5 * targets);
    EXPECT_NEAR(spread[p], spreads, 1e-5 * spreads);
    EXPECT_NEAR(energy[p], 2 * targets - spreads, 2e-5 * targets);
  }
}

// alpha = 1 in one dimension: E|y - x| of a normal y is that of a folded normal.
TEST_P(DeviceKernelsContract, EnergyOfDistancesOnALineIsItsClosedForm) {
  constexpr int64_t kCount = 4, kPositions = 50;
  const std::vector<float> samples = Normals(kCount * kPositions, 4), mean = Normals(kPositions, 5);
  std::vector<float> std = Normals(kPositions, 6);
  for (float& value : std) value = std::exp(value);
  const EnergyPass pass =
      kernels().Energy({Put(samples).view({kCount, kPositions, 1}), Put(mean).view({kPositions, 1}),
                        Put(std).view({kPositions, 1}),
                        /*normal=*/{}, /*alpha=*/1.0});
  const auto target = Get<float>(pass.target), spread = Get<float>(pass.spread),
             gradient = Get<float>(pass.gradient);
  for (int64_t p = 0; p < kPositions; ++p) {
    double targets = 0, spreads = 0;
    for (int64_t n = 0; n < kCount; ++n) {
      const double x = samples[n * kPositions + p], s = std[p], offset = x - mean[p];
      const double slope_of_target = std::erf(offset / (s * std::numbers::sqrt2));
      targets += (s * std::sqrt(2 / std::numbers::pi) * std::exp(-offset * offset / (2 * s * s)) +
                  offset * slope_of_target) /
                 kCount;
      double signs = 0;
      for (int64_t k = 0; k < kCount; ++k) {
        const double apart = x - samples[k * kPositions + p];
        spreads += std::abs(apart) / (kCount * (kCount - 1));
        if (k != n) signs += apart > 0 ? 1 : -1;
      }
      const double slope = 2 * slope_of_target / kCount - 2 * signs / (kCount * (kCount - 1));
      ASSERT_NEAR(gradient[n * kPositions + p], slope, 1e-4) << p;
    }
    EXPECT_NEAR(target[p], targets, 1e-5 * targets);
    EXPECT_NEAR(spread[p], spreads, 1e-5 * spreads);
  }
}

TEST_P(DeviceKernelsContract, EnergyWithDrawsIsTheMeanOverThem) {
  constexpr int64_t kCount = 3, kPositions = 6, kLatent = 40, kDraws = 5;
  constexpr int64_t kStride = kPositions * kLatent;
  constexpr double kAlpha = 1.5;
  const std::vector<float> samples = Normals(kCount * kStride, 7), mean = Normals(kStride, 8),
                           std = Normals(kStride, 9), normal = Normals(kDraws * kStride, 10);
  const std::vector<int64_t> shape = {kPositions, kLatent};
  const EnergyPass pass = kernels().Energy(
      {Put(samples).view({kCount, kPositions, kLatent}), Put(mean).view(shape),
       Put(std).view(shape), Put(normal).view({kDraws, kPositions, kLatent}), kAlpha});
  const auto target = Get<float>(pass.target), gradient = Get<float>(pass.gradient);
  const auto distance = [&](int64_t p, const auto& apart) {
    double square = 0;
    for (int64_t i = p * kLatent; i < (p + 1) * kLatent; ++i) square += apart(i) * apart(i);
    return std::sqrt(square);
  };
  for (int64_t p = 0; p < kPositions; ++p) {
    double targets = 0;
    for (int64_t n = 0; n < kCount; ++n) {
      std::vector<double> slope(kLatent);
      const auto pull = [&](double power, const auto& apart, double share) {
        const double length = distance(p, apart);
        for (int64_t i = 0; i < kLatent; ++i) {
          slope[i] += share * power * std::pow(length, power - 2) * apart(p * kLatent + i);
        }
        return std::pow(length, power);
      };
      for (int64_t m = 0; m < kDraws; ++m) {
        const auto to_draw = [&](int64_t i) {
          return double{samples[n * kStride + i]} -
                 (mean[i] + double{std[i]} * normal[m * kStride + i]);
        };
        targets += pull(kAlpha, to_draw, 2.0 / (kCount * kDraws)) / (kCount * kDraws);
      }
      for (int64_t k = 0; k < kCount; ++k) {
        const auto to_other = [&](int64_t i) {
          return double{samples[n * kStride + i]} - samples[k * kStride + i];
        };
        if (k != n) pull(kAlpha, to_other, -2.0 / (kCount * (kCount - 1)));
      }
      for (int64_t i = 0; i < kLatent; ++i) {
        ASSERT_NEAR(gradient[n * kStride + p * kLatent + i], slope[i], 1e-5);
      }
    }
    EXPECT_NEAR(target[p], targets, 1e-5 * targets);
  }
}

TEST_P(DeviceKernelsContract, EnergyShowsValuesThatAreNotFinite) {
  std::vector<float> samples = Normals(2 * 3 * 4, 1);
  samples[4] = std::numeric_limits<float>::quiet_NaN();  // of position 1
  const EnergyPass pass =
      kernels().Energy({Put(samples).view({2, 3, 4}), Put(Normals(12, 2)).view({3, 4}),
                        at::ones({3, 4}, Options(at::kFloat)), /*normal=*/{}, /*alpha=*/1.0});
  const std::vector<float> energy = Get<float>(pass.energy);
  for (int64_t p = 0; p < 3; ++p) EXPECT_EQ(std::isnan(energy[p]), p == 1);
}

// Small whole numbers: exact products in any order, and ties, of which the first wins.
TEST_P(DeviceKernelsContract, ArgmaxIsTheFirstLargest) {
  struct Size {
    int64_t rows, vocab, width;
  };
  for (const Size& size : {Size{0, 5, 3}, Size{1, 1, 1}, Size{3, 100, 21}, Size{64, 512, 16},
                           Size{70, 1500, 33}, Size{130, 4100, 20}}) {
    std::vector<float> rows = Normals(size.rows * size.width, 4);
    std::vector<float> table = Normals(size.vocab * size.width, 5);
    for (std::vector<float>* values : {&rows, &table}) {
      for (float& value : *values) value = std::floor(2 * value);
    }
    const at::Tensor found = kernels().Argmax(Put(rows).view({size.rows, size.width}),
                                              Put(table).view({size.vocab, size.width}));
    EXPECT_EQ(found.device(), GetParam());
    const std::vector<int64_t> indices = Get<int64_t>(found);
    ASSERT_EQ(std::ssize(indices), size.rows);
    for (int64_t r = 0; r < size.rows; ++r) {
      int64_t best = 0;
      double largest = -std::numeric_limits<double>::infinity();
      for (int64_t v = 0; v < size.vocab; ++v) {
        double sum = 0;
        for (int64_t i = 0; i < size.width; ++i) {
          sum += double{rows[r * size.width + i]} * table[v * size.width + i];
        }
        if (sum > largest) best = v, largest = sum;
      }
      ASSERT_EQ(indices[r], best) << r;
    }
  }
}

}  // namespace halcyon::model

#endif  // HALCYON_TESTS_MODEL_KERNELS_DEVICE_KERNELS_CONTRACT_H_
