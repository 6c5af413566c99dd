// The exact target term and its gradient against float64 oracles.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <tuple>
#include <vector>

#include "base/philox.h"
#include "model/energy/energy_loss.h"
#include "tests/model/energy/energy_oracle.h"

namespace halcyon::model {
namespace {

using Vector = std::vector<double>;

constexpr double kValueTolerance = 1e-5;

struct Target {
  double value;
  Vector gradient;
};

float LogStd(double std) { return static_cast<float>(std::log(std)); }

// With both samples at `offset` from the posterior's mean, the energy is twice the target term and
// each sample's gradient is that of the target term.
Target TargetOf(const Vector& offset, const Vector& std, double alpha) {
  const int64_t l = static_cast<int64_t>(offset.size());
  at::Tensor samples = at::empty({2, 1, l}), log_std = at::empty({1, l});
  for (int64_t i = 0; i < l; ++i) {
    samples[0][0][i] = samples[1][0][i] = offset[i];
    log_std[0][i] = LogStd(std[i]);
  }
  samples.requires_grad_(true);
  const EnergyTerms terms = ExactEnergyLoss(samples, at::zeros({1, l}), log_std, alpha);
  EXPECT_EQ(terms.spread.item<float>(), 0.0f);
  EXPECT_EQ(terms.energy.item<float>(), 2 * terms.target.item<float>());
  terms.energy.sum().backward();
  Target target{terms.target.item<double>(), Vector(l)};
  const at::Tensor gradient = samples.grad()[0][0];
  for (int64_t i = 0; i < l; ++i) target.gradient[i] = gradient[i].item<double>();
  return target;
}

// What the float32 inputs of TargetOf stand for.
Vector Rounded(Vector values) {
  for (double& value : values) value = static_cast<float>(value);
  return values;
}
Vector RoundedStd(Vector std) {
  for (double& value : std) value = std::exp(static_cast<double>(LogStd(value)));
  return std;
}

Vector Normals(size_t size, uint64_t seed) {
  std::vector<float> values(size);
  PhiloxStream(seed, NoiseStream::kEvaluation, 0, 0).FillNormal(0, values);
  return {values.begin(), values.end()};
}

double Norm(const Vector& v) {
  double sum = 0;
  for (const double value : v) sum += value * value;
  return std::sqrt(sum);
}

class EnergyTargetTest : public testing::TestWithParam<std::tuple<int, double>> {
 protected:
  size_t latent() const { return std::get<0>(GetParam()); }
  double alpha() const { return std::get<1>(GetParam()); }

  void ExpectMatchesSeries(const Vector& wanted_offset, const Vector& wanted_std) {
    const Vector offset = Rounded(wanted_offset), std = RoundedStd(wanted_std);
    const Target target = TargetOf(offset, std, alpha());
    const double expected = ExpectedDistancePower(offset, std, alpha());
    EXPECT_NEAR(target.value / expected, 1, kValueTolerance);
    if (Norm(offset) == 0) {
      EXPECT_EQ(Norm(target.gradient), 0);
      return;
    }
    // Along its own direction and along another one.
    const Vector other = Normals(offset.size(), 77);
    for (const Vector& direction : {offset, other}) {
      double slope = 0;
      for (size_t i = 0; i < offset.size(); ++i) slope += target.gradient[i] * direction[i];
      const double step = 1e-4 * Norm(std) / Norm(direction);
      Vector ahead = offset, behind = offset;
      for (size_t i = 0; i < offset.size(); ++i) {
        ahead[i] += step * direction[i];
        behind[i] -= step * direction[i];
      }
      const double difference = (ExpectedDistancePower(ahead, std, alpha()) -
                                 ExpectedDistancePower(behind, std, alpha())) /
                                (2 * step);
      EXPECT_NEAR(slope, difference, 3e-5 * Norm(direction) * Norm(target.gradient));
    }
  }
};

TEST_P(EnergyTargetTest, MatchesTheSeriesForOffsetsLikeTheNoise) {
  Vector std = Normals(latent(), 1), offset = Normals(latent(), 2);
  for (double& value : std) value = std::exp(0.3 * value);
  ExpectMatchesSeries(offset, std);
}

TEST_P(EnergyTargetTest, MatchesTheSeriesAtEveryScale) {
  for (const double scale : {1e-4, 1e-2, 1e2}) {
    Vector std = Normals(latent(), 3), offset = Normals(latent(), 4);
    for (double& value : std) value = scale * std::exp(0.2 * value);
    for (double& value : offset) value *= 0.3 * scale;
    ExpectMatchesSeries(offset, std);
  }
}

TEST_P(EnergyTargetTest, MatchesTheSeriesWithoutOffset) {
  Vector std = Normals(latent(), 5);
  for (double& value : std) value = std::exp(0.3 * value);
  ExpectMatchesSeries(Vector(latent(), 0.0), std);
}

TEST_P(EnergyTargetTest, MatchesTheChiMomentWithoutOffset) {
  for (const double std : {1e-4, 1.0, 100.0}) {
    const double l = static_cast<double>(latent());
    const Vector stds = RoundedStd(Vector(latent(), std));
    const double expected = std::pow(stds[0], alpha()) * std::pow(2.0, alpha() / 2) *
                            std::exp(std::lgamma((l + alpha()) / 2) - std::lgamma(l / 2));
    EXPECT_NEAR(TargetOf(Vector(latent(), 0.0), stds, alpha()).value / expected, 1,
                kValueTolerance);
  }
}

TEST_P(EnergyTargetTest, BecomesThePlainDistanceAsTheNoiseVanishes) {
  const Vector offset = Rounded(Normals(latent(), 6));
  const Target target = TargetOf(offset, Vector(latent(), 4.6e-5), alpha());
  const double norm = Norm(offset);
  EXPECT_NEAR(target.value / std::pow(norm, alpha()), 1, kValueTolerance);
  for (size_t i = 0; i < latent(); ++i) {
    const double expected = alpha() * std::pow(norm, alpha() - 2) * offset[i];
    EXPECT_NEAR(target.gradient[i], expected, 3e-5 * alpha() * std::pow(norm, alpha() - 1));
  }
}

// One dimension a million times wider than the others: only that one is random at this scale, so a
// fine sum over its normal variable is exact, for the derivatives under the integral as well.
TEST_P(EnergyTargetTest, MatchesOneDimensionalIntegrationUnderADominantDimension) {
  Vector std(latent(), 1e-4);
  std[0] = 100;
  std = RoundedStd(std);
  Vector offset = Normals(latent(), 7);
  offset[0] *= 50;
  offset = Rounded(offset);
  double rest = 0;
  for (size_t i = 1; i < latent(); ++i) rest += offset[i] * offset[i] + std[i] * std[i];
  double value = 0, along = 0,
         across = 0;  // the slopes: in offset[0], and in offset[i] / offset[i]
  constexpr double kStep = 1e-5;
  for (double z = -9; z < 9; z += kStep) {
    const double wide = offset[0] + std[0] * z, square = wide * wide + rest;
    const double weight = kStep * std::exp(-0.5 * z * z) / std::sqrt(2 * std::numbers::pi);
    const double power = std::pow(square, alpha() / 2);
    value += weight * power;
    along += weight * alpha() * wide * power / square;
    across += weight * alpha() * power / square;
  }
  const Target target = TargetOf(offset, std, alpha());
  EXPECT_NEAR(target.value / value, 1, kValueTolerance);
  if (latent() == 1) return;  // the slope's integrand has a pole there; the series covers it
  const double tolerance = 3e-5 * Norm(target.gradient);
  EXPECT_NEAR(target.gradient[0], along, tolerance);
  for (size_t i = 1; i < latent(); ++i) {
    EXPECT_NEAR(target.gradient[i], across * offset[i], tolerance);
  }
}

struct Mean {
  double sum = 0, squares = 0;
  void Add(double value) {
    sum += value;
    squares += value * value;
  }
};

// 10^5 draws; 5 standard errors: a false alarm once in 1.7 million comparisons, of which there are
// 3 for each of the 35 cases. The gradient is that of the drawn distance, along two directions.
TEST_P(EnergyTargetTest, AgreesWithDraws) {
  Vector std = Normals(latent(), 8), offset = Rounded(Normals(latent(), 9));
  for (double& value : std) value = std::exp(1.5 * value);
  std = RoundedStd(std);
  const Vector other = Normals(latent(), 78);
  const Target target = TargetOf(offset, std, alpha());
  constexpr int kDraws = 100000;
  Mean value, along_offset, along_other;
  std::vector<float> normal(latent());
  for (int draw = 0; draw < kDraws; ++draw) {
    PhiloxStream(10, NoiseStream::kTargetSamples, 0, draw).FillNormal(0, normal);
    double square = 0, with_offset = 0, with_other = 0;
    for (size_t i = 0; i < latent(); ++i) {
      const double difference = offset[i] - std[i] * normal[i];
      square += difference * difference;
      with_offset += difference * offset[i];
      with_other += difference * other[i];
    }
    const double power = std::pow(square, alpha() / 2);
    value.Add(power);
    along_offset.Add(alpha() * power / square * with_offset);
    along_other.Add(alpha() * power / square * with_other);
  }
  const auto expect_near = [](double actual, const Mean& expected) {
    const double mean = expected.sum / kDraws;
    EXPECT_NEAR(actual, mean, 5 * std::sqrt((expected.squares / kDraws - mean * mean) / kDraws));
  };
  expect_near(target.value, value);
  // In one dimension and below alpha = 1 the slope's draws have no variance to go by.
  if (latent() == 1 && alpha() < 1) return;
  double slope_offset = 0, slope_other = 0;
  for (size_t i = 0; i < latent(); ++i) {
    slope_offset += target.gradient[i] * offset[i];
    slope_other += target.gradient[i] * other[i];
  }
  expect_near(slope_offset, along_offset);
  expect_near(slope_other, along_other);
}

// The ends of what a posterior may be (log_std in [-10, 4]), and all of it in one.
TEST_P(EnergyTargetTest, IsBoundedByTheMomentsAtExtremeScales) {
  for (const double std : {4.6e-5, 54.0}) {
    Vector stds(latent(), std);
    if (latent() > 1) stds[1] = 1.0;
    for (const double scale : {0.0, 1e-6, 1.0, 1e6}) {
      Vector offset = Normals(latent(), 12);
      for (double& value : offset) value *= scale;
      offset = Rounded(offset);
      const Target target = TargetOf(offset, stds, alpha());
      double second = 0;
      for (size_t i = 0; i < latent(); ++i) second += offset[i] * offset[i] + stds[i] * stds[i];
      // Jensen's inequality from above; from below by the fourth moment, which is at most 3 S^2.
      EXPECT_LE(target.value, std::pow(second, alpha() / 2) * (1 + kValueTolerance));
      EXPECT_GE(target.value,
                std::pow(second, alpha() / 2) * std::pow(3, -(2 - alpha()) / 2) * (1 - 1e-5));
      EXPECT_TRUE(std::isfinite(Norm(target.gradient)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, EnergyTargetTest,
                         testing::Combine(testing::Values(1, 2, 3, 10, 32, 128, 256),
                                          testing::Values(0.5, 1.0, 1.5, 1.9, 2.0)));

TEST(EnergyTargetClosedFormTest, IsTheFoldedNormalsMeanInOneDimension) {
  for (const double offset : {0.0, 0.25, 1.0, 3.0, 20.0}) {
    const double expected = std::sqrt(2 / std::numbers::pi) * std::exp(-offset * offset / 2) +
                            offset * std::erf(offset / std::numbers::sqrt2);
    const Target target = TargetOf({offset}, {1.0}, 1.0);
    EXPECT_NEAR(target.value / expected, 1, kValueTolerance);
    EXPECT_NEAR(target.gradient[0], std::erf(offset / std::numbers::sqrt2), 1e-5);
  }
}

// E||x - y||^2 = S, whose slope is 2 d: no quadrature, so to float32's last digits.
TEST(EnergyTargetClosedFormTest, IsTheSecondMomentAtAlphaTwo) {
  for (const size_t latent : {1, 2, 10, 128}) {
    const Vector offset = Rounded(Normals(latent, 13));
    Vector std = Normals(latent, 14);
    for (double& value : std) value = std::exp(2 * value);
    std = RoundedStd(std);
    double second = 0;
    for (size_t i = 0; i < latent; ++i) second += offset[i] * offset[i] + std[i] * std[i];
    const Target target = TargetOf(offset, std, 2);
    EXPECT_NEAR(target.value / second, 1, 1e-6);
    for (size_t i = 0; i < latent; ++i) EXPECT_NEAR(target.gradient[i], 2 * offset[i], 1e-5);
  }
}

}  // namespace
}  // namespace halcyon::model
