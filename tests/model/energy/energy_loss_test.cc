#include "model/energy/energy_loss.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "model/noise.h"

namespace halcyon::model {
namespace {

at::Tensor Normals(std::vector<int64_t> shape, uint64_t seed) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  const uint64_t row = 0;
  return NoiseRows{seed, NoiseStream::kEvaluation, 0, {row}}.Normal({count}).view(shape);
}

struct Position {
  at::Tensor samples, mean, log_std;
};

Position MakePositions(int64_t samples, int64_t positions, int64_t latent, uint64_t seed) {
  return {Normals({samples, positions, latent}, seed), Normals({positions, latent}, seed + 1),
          0.5 * Normals({positions, latent}, seed + 2) - 1};
}

// mean over n != k of ||x_n - x_k||^alpha of one position, [N, latent] in float64.
double SpreadOf(const at::Tensor& samples, double alpha) {
  const auto x = samples.accessor<double, 2>();
  double sum = 0;
  for (int64_t n = 0; n < x.size(0); ++n) {
    for (int64_t k = 0; k < x.size(0); ++k) {
      double square = 0;
      for (int64_t i = 0; i < x.size(1); ++i) square += std::pow(x[n][i] - x[k][i], 2);
      if (n != k) sum += std::pow(square, alpha / 2);
    }
  }
  return sum / static_cast<double>(x.size(0) * (x.size(0) - 1));
}

TEST(EnergyLossTest, SpreadIsTheMeanOverPairs) {
  for (const double alpha : {0.5, 1.0, 1.9, 2.0}) {
    const Position p = MakePositions(5, 3, 19, 11);
    const EnergyTerms terms = ExactEnergyLoss(p.samples, p.mean, p.log_std, alpha);
    for (int64_t i = 0; i < 3; ++i) {
      const double expected = SpreadOf(p.samples.select(1, i).to(at::kDouble).contiguous(), alpha);
      EXPECT_NEAR(terms.spread[i].item<double>() / expected, 1, 1e-5);
      EXPECT_NEAR(terms.energy[i].item<double>(),
                  2 * terms.target[i].item<double>() - terms.spread[i].item<double>(), 1e-5);
    }
  }
}

// The target term has tests of its own; with the posterior far away its gradient is that of
// ||x - mean||^alpha, so what is left is the spread's.
TEST(EnergyLossTest, SpreadsGradientMatchesFiniteDifferences) {
  constexpr double kAlpha = 1.3;
  Position p = MakePositions(4, 1, 6, 21);
  p.log_std.fill_(-10);
  p.samples.requires_grad_(true);
  ExactEnergyLoss(p.samples, p.mean, p.log_std, kAlpha).energy.sum().backward();
  const at::Tensor samples = p.samples.detach().to(at::kDouble).select(1, 0).contiguous();
  const at::Tensor mean = p.mean.to(at::kDouble).contiguous();
  const auto energy = [&](const at::Tensor& x) {
    const at::Tensor target = (x - mean).square().sum(1).pow(kAlpha / 2).mean();
    return 2 * target.item<double>() - SpreadOf(x, kAlpha);
  };
  for (int64_t n = 0; n < 4; ++n) {
    for (int64_t i = 0; i < 6; ++i) {
      at::Tensor ahead = samples.clone(), behind = samples.clone();
      ahead[n][i] += 1e-5;
      behind[n][i] -= 1e-5;
      EXPECT_NEAR(p.samples.grad()[n][0][i].item<double>(), (energy(ahead) - energy(behind)) / 2e-5,
                  2e-5);
    }
  }
}

TEST(EnergyLossTest, BackwardScalesEachPosition) {
  Position p = MakePositions(3, 4, 8, 31);
  p.samples.requires_grad_(true);
  ExactEnergyLoss(p.samples, p.mean, p.log_std, 1.0).energy.sum().backward();
  const at::Tensor plain = p.samples.grad().clone();
  p.samples.mutable_grad().zero_();
  const at::Tensor weights = at::arange(4, at::kFloat);
  at::dot(ExactEnergyLoss(p.samples, p.mean, p.log_std, 1.0).energy, weights).backward();
  EXPECT_TRUE(at::allclose(p.samples.grad(), plain * weights.view({1, 4, 1})));
}

TEST(EnergyLossTest, CoincidentSamplesOnTheMeanHaveNoGradient) {
  for (const double log_std : {-60.0, -10.0, 0.0}) {
    at::Tensor samples = at::zeros({8, 2, 5}).requires_grad_(true);
    const EnergyTerms terms =
        ExactEnergyLoss(samples, at::zeros({2, 5}), at::full({2, 5}, log_std), 1.0);
    terms.energy.sum().backward();
    EXPECT_TRUE(at::isfinite(terms.energy).all().item<bool>());
    EXPECT_TRUE((samples.grad() == 0).all().item<bool>());
  }
}

TEST(EnergyLossTest, ValuesThatAreNotFiniteShow) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Position p = MakePositions(3, 3, 4, 41);
    p.samples[1][1][2] = bad;
    p.samples.requires_grad_(true);
    const EnergyTerms terms = ExactEnergyLoss(p.samples, p.mean, p.log_std, 1.0);
    terms.energy.sum().backward();
    const at::Tensor expected = at::arange(3) == 1;
    EXPECT_TRUE(at::equal(at::isnan(terms.target), expected));
    EXPECT_TRUE(at::equal(at::isnan(p.samples.grad()).flatten(2).any(2).any(0), expected));
  }
}

TEST(EnergyLossTest, SamplesOfVeryDifferentDistancesKeepTheirAccuracy) {
  Position p = MakePositions(2, 1, 16, 51);
  p.samples[1] *= 1e5;
  const double both = ExactEnergyLoss(p.samples, p.mean, p.log_std, 1.0).target.item<double>();
  double separate = 0;
  for (int64_t n = 0; n < 2; ++n) {
    const at::Tensor twice = p.samples.narrow(0, n, 1).expand({2, 1, 16}).contiguous();
    separate += ExactEnergyLoss(twice, p.mean, p.log_std, 1.0).target.item<double>() / 2;
  }
  EXPECT_NEAR(both / separate, 1, 1e-5);
}

// A position's bits depend on its own numbers alone.
TEST(EnergyLossTest, BitsDependNeitherOnThreadsNorOnTheBatch) {
  Position p = MakePositions(4, 37, 33, 61);
  const auto run = [](Position q, int threads) {
    at::set_num_threads(threads);
    q.samples = q.samples.detach().clone().requires_grad_(true);
    const EnergyTerms terms = ExactEnergyLoss(q.samples, q.mean, q.log_std, 1.0);
    terms.energy.sum().backward();
    at::set_num_threads(1);
    return std::make_pair(terms.energy.detach(), q.samples.grad());
  };
  const auto one = run(p, 1);
  const auto three = run(p, 3);
  EXPECT_TRUE(at::equal(one.first, three.first));
  EXPECT_TRUE(at::equal(one.second, three.second));
  const Position part = {p.samples.narrow(1, 5, 2).contiguous(), p.mean.narrow(0, 5, 2),
                         p.log_std.narrow(0, 5, 2)};
  const auto alone = run(part, 1);
  EXPECT_TRUE(at::equal(alone.first, one.first.narrow(0, 5, 2)));
  EXPECT_TRUE(at::equal(alone.second, one.second.narrow(1, 5, 2)));
}

// 40000 positions that differ only in their one draw: their mean is the exact value within 5
// standard errors, for the loss and for each of 12 gradient components (false alarm: 1 in 130000).
TEST(EnergyLossTest, SampledFormAgreesInExpectation) {
  constexpr int64_t kPositions = 40000, kLatent = 6;
  constexpr double kAlpha = 1.5;
  const Position p = MakePositions(2, 1, kLatent, 71);
  at::Tensor samples = p.samples.clone().requires_grad_(true);
  const EnergyTerms exact = ExactEnergyLoss(samples, p.mean, p.log_std, kAlpha);
  exact.energy.sum().backward();
  at::Tensor copies = p.samples.expand({2, kPositions, kLatent}).contiguous().requires_grad_(true);
  const at::Tensor normal = Normals({1, kPositions, kLatent}, 72);
  const EnergyTerms sampled =
      SampledEnergyLoss(copies, p.mean.expand({kPositions, kLatent}).contiguous(),
                        p.log_std.expand({kPositions, kLatent}).contiguous(), normal, kAlpha);
  sampled.energy.sum().backward();
  const double root = std::sqrt(static_cast<double>(kPositions));
  EXPECT_NEAR(sampled.target.mean().item<double>(), exact.target.item<double>(),
              5 * sampled.target.std().item<double>() / root);
  EXPECT_NEAR(sampled.spread[0].item<double>(), exact.spread.item<double>(), 1e-5);
  const at::Tensor difference = (copies.grad().mean(1) - samples.grad().select(1, 0)).abs();
  const at::Tensor errors = copies.grad().std(1) / root;
  EXPECT_TRUE((difference <= 5 * errors).all().item<bool>());
}

// The definition in float64: [N, latent] samples, [M, latent] targets.
double SampledEnergyOf(const at::Tensor& samples, const at::Tensor& targets, double alpha) {
  const auto x = samples.accessor<double, 2>(), y = targets.accessor<double, 2>();
  double sum = 0;
  for (int64_t n = 0; n < x.size(0); ++n) {
    for (int64_t m = 0; m < y.size(0); ++m) {
      double square = 0;
      for (int64_t i = 0; i < x.size(1); ++i) square += std::pow(x[n][i] - y[m][i], 2);
      sum += std::pow(square, alpha / 2);
    }
  }
  return 2 * sum / static_cast<double>(x.size(0) * y.size(0)) - SpreadOf(samples, alpha);
}

TEST(EnergyLossTest, SampledFormMatchesItsDefinitionAndFiniteDifferences) {
  constexpr int64_t kSampleCount = 3, kDraws = 4, kPositions = 2;
  for (const int64_t latent : {1, 2, 10, 19, 128}) {
    for (const double alpha : {0.5, 1.0, 1.5, 1.9, 2.0}) {
      Position p = MakePositions(kSampleCount, kPositions, latent, 81);
      const at::Tensor normal = Normals({kDraws, kPositions, latent}, 84);
      p.samples.requires_grad_(true);
      const EnergyTerms terms = SampledEnergyLoss(p.samples, p.mean, p.log_std, normal, alpha);
      terms.energy.sum().backward();
      const at::Tensor targets =
          p.mean.to(at::kDouble) + normal.to(at::kDouble) * p.log_std.to(at::kDouble).exp();
      for (int64_t at = 0; at < kPositions; ++at) {
        const at::Tensor y = targets.select(1, at).contiguous();
        const at::Tensor x = p.samples.detach().select(1, at).to(at::kDouble).contiguous();
        EXPECT_NEAR(terms.energy[at].item<double>() / SampledEnergyOf(x, y, alpha), 1, 1e-5);
        const at::Tensor slopes = p.samples.grad().select(1, at).to(at::kDouble);
        const at::Tensor direction = Normals({kSampleCount, latent}, 85).to(at::kDouble);
        const double difference = (SampledEnergyOf(x + 1e-6 * direction, y, alpha) -
                                   SampledEnergyOf(x - 1e-6 * direction, y, alpha)) /
                                  2e-6;
        EXPECT_NEAR((slopes * direction).sum().item<double>(), difference,
                    1e-5 * (slopes.norm() * direction.norm()).item<double>());
      }
    }
  }
}

// Without draws of the posterior the energy at alpha = 2 sees the samples' mean alone.
TEST(EnergyLossTest, AtAlphaTwoOnlyTheMeanOfTheSamplesCounts) {
  Position p = MakePositions(6, 3, 10, 91);
  p.samples.requires_grad_(true);
  const EnergyTerms terms = ExactEnergyLoss(p.samples, p.mean, p.log_std, 2);
  terms.energy.sum().backward();
  const at::Tensor centre = p.samples.detach().mean(0) - p.mean;
  // mean over n of 4 (x_n - mean) / N - 4 (x_n - mean of x) N / (N (N - 1)), added up over n.
  EXPECT_TRUE(at::allclose(p.samples.grad().sum(0), 4 * centre, 1e-4, 1e-5));
  const double spread = SpreadOf(p.samples.detach().select(1, 0).to(at::kDouble).contiguous(), 2);
  EXPECT_NEAR(terms.spread[0].item<double>() / spread, 1, 1e-5);
}

TEST(EnergyLossTest, SampledFormHasNoGradientWhereSamplesCoincide) {
  at::Tensor samples = at::zeros({4, 1, 3}).requires_grad_(true);
  const at::Tensor zeros = at::zeros({1, 3});
  SampledEnergyLoss(samples, zeros, zeros, at::zeros({2, 1, 3}), 1.0).energy.sum().backward();
  EXPECT_TRUE((samples.grad() == 0).all().item<bool>());
}

}  // namespace
}  // namespace halcyon::model
