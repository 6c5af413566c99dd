#include "model/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/philox.h"

namespace halcyon::model {
namespace {

struct Arrays {
  explicit Arrays(size_t size)
      : value(size), exp_avg(size), exp_avg_sq(size), gradient(size), decays(size) {}
  AdamWState Slice(size_t first, size_t count) {
    return {std::span(value).subspan(first, count), std::span(exp_avg).subspan(first, count),
            std::span(exp_avg_sq).subspan(first, count),
            std::span<const float>(gradient).subspan(first, count),
            std::span<const uint8_t>(decays).subspan(first, count)};
  }
  std::vector<float> value, exp_avg, exp_avg_sq, gradient;
  std::vector<uint8_t> decays;
};

void DrawGradient(uint64_t step, std::vector<float>& gradient) {
  PhiloxStream(1, NoiseStream::kEvaluation, step, 0).FillNormal(0, gradient);
}

TEST(AdamWTest, FollowsADoublePrecisionReference) {
  constexpr size_t kSize = 101;
  constexpr double kScale = 0.7;
  jobs::TrainSpec spec;
  spec.epsilon = 0.01;  // large enough to show where it is added
  Arrays arrays(kSize);
  PhiloxStream(2, NoiseStream::kEvaluation, 0, 0).FillNormal(0, arrays.value);
  std::vector<double> value(arrays.value.begin(), arrays.value.end()), m(kSize), v(kSize);
  for (size_t i = 0; i < kSize; ++i) arrays.decays[i] = i % 2;
  for (uint64_t update = 1; update <= 60; ++update) {
    const double rate = 0.01 / static_cast<double>(update);
    DrawGradient(update, arrays.gradient);
    AdamWStep(spec, rate, update, kScale, arrays.Slice(0, kSize));
    for (size_t i = 0; i < kSize; ++i) {
      const double g = kScale * arrays.gradient[i];
      if (arrays.decays[i]) value[i] -= rate * spec.weight_decay * value[i];
      m[i] = spec.beta1 * m[i] + (1 - spec.beta1) * g;
      v[i] = spec.beta2 * v[i] + (1 - spec.beta2) * g * g;
      const double unbiased_m = m[i] / (1 - std::pow(spec.beta1, update));
      const double unbiased_v = v[i] / (1 - std::pow(spec.beta2, update));
      value[i] -= rate * unbiased_m / (std::sqrt(unbiased_v) + spec.epsilon);
    }
  }
  for (size_t i = 0; i < kSize; ++i) {
    EXPECT_NEAR(arrays.value[i], value[i], 2e-6);
    EXPECT_NEAR(arrays.exp_avg[i], m[i], 1e-6);
    EXPECT_NEAR(arrays.exp_avg_sq[i], v[i], 1e-6);
  }
}

TEST(AdamWTest, ShardsGiveTheBitsOfTheWhole) {
  constexpr size_t kSize = 64;
  jobs::TrainSpec spec;
  Arrays whole(kSize), parts(kSize);
  for (size_t i = 0; i < kSize; ++i) whole.decays[i] = parts.decays[i] = i % 3 == 0;
  for (uint64_t update = 1; update <= 5; ++update) {
    DrawGradient(update, whole.gradient);
    parts.gradient = whole.gradient;
    AdamWStep(spec, 0.01, update, 0.5, whole.Slice(0, kSize));
    for (const auto& [first, count] : {std::pair<size_t, size_t>{0, 1}, {1, 30}, {31, 33}}) {
      AdamWStep(spec, 0.01, update, 0.5, parts.Slice(first, count));
    }
  }
  EXPECT_EQ(whole.value, parts.value);
  EXPECT_EQ(whole.exp_avg_sq, parts.exp_avg_sq);
}

}  // namespace
}  // namespace halcyon::model
