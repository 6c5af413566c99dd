// The flow and diffusion heads against float64 loops that follow the formulas one number at a time.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numbers>
#include <vector>

#include "model/heads/diffusion_head.h"
#include "model/heads/flow_head.h"
#include "tests/model/gradient_check.h"
#include "tests/model/network_oracle.h"

namespace halcyon::model {
namespace {

constexpr int64_t kLatent = 3, kRows = 2, kPositions = 2, kDraws = 3;
constexpr double kTwoPi = 2 * std::numbers::pi;

jobs::ModelSpec Spec(jobs::HeadKind head) {
  jobs::ModelSpec spec;
  spec.head = head;
  spec.hidden_size = 8;
  spec.head_layers = 2;
  spec.samples = kDraws;
  return spec;
}

Vector ToVector(const at::Tensor& tensor) {
  const at::Tensor values = tensor.to(at::kDouble).contiguous();
  return {values.const_data_ptr<double>(), values.const_data_ptr<double>() + values.numel()};
}

Vector Silus(Vector x) {
  for (double& value : x) value = Silu(value);
  return x;
}

// The network of both heads, for one latent.
Vector Denoise(const NetworkOracle& net, const Vector& noisy, int64_t time, const Vector& hidden,
               int64_t blocks) {
  Vector waves(256);
  for (int i = 0; i < 128; ++i) {
    const double angle = static_cast<double>(time) * std::pow(10000.0, -i / 128.0);
    waves[i] = std::cos(angle);
    waves[128 + i] = std::sin(angle);
  }
  Vector y = net.Linear(Silus(net.Linear(waves, "head.time.0")), "head.time.1");
  const Vector condition = net.Linear(hidden, "head.condition");
  const size_t width = condition.size();
  for (size_t i = 0; i < width; ++i) y[i] = Silu(y[i] + condition[i]);
  Vector x = net.Linear(noisy, "head.input");
  for (int64_t b = 0; b < blocks; ++b) {
    const std::string name = "head.blocks." + std::to_string(b);
    const Vector parts = net.Linear(y, name + ".modulation");
    Vector inner = net.LayerNorm(x, name + ".norm");
    for (size_t i = 0; i < width; ++i) inner[i] = inner[i] * (1 + parts[width + i]) + parts[i];
    inner = net.Linear(Silus(net.Linear(inner, name + ".expand")), name + ".contract");
    for (size_t i = 0; i < width; ++i) x[i] += parts[2 * width + i] * inner[i];
  }
  const Vector parts = net.Linear(y, "head.output_modulation");
  double mean = 0, variance = 0;
  for (const double value : x) mean += value / static_cast<double>(width);
  for (const double value : x) variance += (value - mean) * (value - mean) / width;
  for (size_t i = 0; i < width; ++i) {
    x[i] = (x[i] - mean) / std::sqrt(variance + 1e-6) * (1 + parts[width + i]) + parts[i];
  }
  return net.Linear(x, "head.output");
}

template <typename Head>
class HeadFixture {
 public:
  explicit HeadFixture(jobs::HeadKind kind)
      : spec(Spec(kind)), unit("head"), head(unit, spec, kLatent) {
    Randomise({&unit}, 3);
    const NoiseRows inputs{1, NoiseStream::kEvaluation, 0, {0, 1}};
    hidden = inputs.Normal({kPositions, spec.hidden_size});
    next.mean = inputs.Normal({kPositions, kLatent}, 1000).view({-1, kLatent});
    next.log_std = inputs.Normal({kPositions, kLatent}, 2000).view({-1, kLatent}) * 0.3 - 1;
  }

  // The numbers that draw `draw` of a position of a row takes from `first` on.
  Vector Numbers(const at::Tensor& of_rows, int64_t row, int64_t draw, int64_t position) const {
    return ToVector(of_rows[row][draw][position]);
  }
  Vector Hidden(int64_t row, int64_t position) const { return ToVector(hidden[row][position]); }
  Vector Target(int64_t row, int64_t draw, int64_t position) const {
    Vector z =
        Numbers(noise.Normal({kDraws, kPositions, kLatent}, kTargetNumbers), row, draw, position);
    const Vector mean = ToVector(next.mean[row * kPositions + position]);
    const Vector log_std = ToVector(next.log_std[row * kPositions + position]);
    for (int64_t i = 0; i < kLatent; ++i) z[i] = mean[i] + std::exp(log_std[i]) * z[i];
    return z;
  }
  double Uniform(int64_t row, int64_t draw, int64_t position) const {
    return noise.Uniform({kDraws, kPositions, 1}, kTimeNumbers)[row][draw][position].item<double>();
  }

  jobs::ModelSpec spec;
  Unit unit;
  Head head;
  at::Tensor hidden;
  Posterior next;
  const NoiseRows noise{5, NoiseStream::kHeadNoise, 2, {7, 4}};
};

double FlowLoss(const HeadFixture<FlowHead>& f, const NetworkOracle& net, int64_t row,
                int64_t position) {
  double loss = 0;
  for (int64_t draw = 0; draw < kDraws; ++draw) {
    const Vector z = f.Target(row, draw, position);
    const Vector start =
        f.Numbers(f.noise.Normal({kDraws, kPositions, kLatent}), row, draw, position);
    const double t = f.Uniform(row, draw, position);
    Vector noisy(kLatent);
    for (int64_t i = 0; i < kLatent; ++i) noisy[i] = (1 - t) * start[i] + t * z[i];
    const Vector velocity = Denoise(net, noisy, static_cast<int64_t>(1000 * t),
                                    f.Hidden(row, position), f.spec.head_layers);
    for (int64_t i = 0; i < kLatent; ++i) {
      loss += std::pow(velocity[i] - (z[i] - start[i]), 2) / kLatent / kDraws;
    }
  }
  return loss;
}

TEST(FlowHeadTest, LossMatchesTheFormula) {
  HeadFixture<FlowHead> f(jobs::HeadKind::kFlow);
  const NetworkOracle net({&f.unit});
  const LatentHead::Loss loss = f.head.TrainingLoss(f.hidden, f.next, f.noise);
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t p = 0; p < kPositions; ++p) {
      const double expected = FlowLoss(f, net, row, p);
      EXPECT_NEAR(loss.loss[row * kPositions + p].item<double>(), expected, 1e-4 * expected);
    }
  }
  EXPECT_TRUE(loss.terms.empty());
}

TEST(FlowHeadTest, GradientsMatchFiniteDifferences) {
  HeadFixture<FlowHead> f(jobs::HeadKind::kFlow);
  f.head.TrainingLoss(f.hidden, f.next, f.noise).loss.sum().backward();
  ExpectGradientsMatch({&f.unit}, NetworkOracle({&f.unit}), [&](const NetworkOracle& net) {
    double sum = 0;
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t p = 0; p < kPositions; ++p) sum += FlowLoss(f, net, row, p);
    }
    return sum;
  });
}

TEST(FlowHeadTest, BothSolversFollowTheVelocity) {
  HeadFixture<FlowHead> f(jobs::HeadKind::kFlow);
  const NetworkOracle net({&f.unit});
  for (const auto solver : {jobs::FlowSolver::kEuler, jobs::FlowSolver::kMidpoint}) {
    const Vector hidden = f.Hidden(1, 0);
    Vector x = {0.3, -1, 0.5};
    const at::Tensor start = at::tensor({0.3f, -1.0f, 0.5f}).view({1, 1, kLatent});
    const int64_t steps = 4;
    for (int64_t step = 0; step < steps; ++step) {
      const auto velocity = [&](const Vector& at, int64_t time) {
        return Denoise(net, at, time, hidden, f.spec.head_layers);
      };
      Vector v = velocity(x, 250 * step);
      if (solver == jobs::FlowSolver::kMidpoint) {
        Vector middle = x;
        for (int64_t i = 0; i < kLatent; ++i) middle[i] += 0.125 * v[i];
        v = velocity(middle, 250 * step + 125);
      }
      for (int64_t i = 0; i < kLatent; ++i) x[i] += 0.25 * v[i];
    }
    const at::Tensor end = f.head.Solve(start, f.hidden[1].narrow(0, 0, 1), solver, steps);
    for (int64_t i = 0; i < kLatent; ++i) {
      EXPECT_NEAR(end[0][0][i].item<double>(), x[i], 1e-4 * (1 + std::abs(x[i])));
    }
  }
}

// From the definition: abar(t) = cos^2, betas capped, everything else by Bayes.
TEST(DiffusionScheduleTest, WholeProcess) {
  const DiffusionSchedule schedule = CosineSchedule(1000);
  double signal = 1;
  for (int64_t t = 0; t < 1000; ++t) {
    const auto bar = [](double at) {
      return std::pow(std::cos((at / 1000 + 0.008) / 1.008 * kTwoPi / 4), 2);
    };
    const double beta = std::min(0.999, 1 - bar(t + 1) / bar(t));
    const double before = signal;
    signal *= 1 - beta;
    ASSERT_EQ(schedule.times[t], t);
    EXPECT_NEAR(schedule.signal[t] / signal, 1, 1e-9);
    EXPECT_NEAR(schedule.log_beta[t], std::log(beta), 1e-8);
    // Two Gaussians of x_{t-1}: prior from z with variance 1 - before, likelihood from x_t.
    if (t > 0) {
      const double precision = 1 / (1 - before) + (1 - beta) / beta;
      EXPECT_NEAR(schedule.log_posterior[t], -std::log(precision), 1e-7);
      EXPECT_NEAR(schedule.from_latent[t], std::sqrt(before) / (1 - before) / precision, 1e-8);
      EXPECT_NEAR(schedule.from_noisy[t], std::sqrt(1 - beta) / beta / precision, 1e-8);
    }
  }
  EXPECT_EQ(schedule.log_posterior[0], schedule.log_posterior[1]);
  EXPECT_DOUBLE_EQ(schedule.from_latent[0], 1);
  EXPECT_DOUBLE_EQ(schedule.from_noisy[0], 0);
}

TEST(DiffusionScheduleTest, KeptStepsAreAProcessOfTheirOwn) {
  const DiffusionSchedule whole = CosineSchedule(1000), kept = CosineSchedule(100);
  ASSERT_EQ(kept.times.size(), 100u);
  for (int64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(kept.times[i], std::lround(i * 999.0 / 99));
    EXPECT_DOUBLE_EQ(kept.signal[i], whole.signal[kept.times[i]]);
    const double before = i == 0 ? 1 : kept.signal[i - 1];
    EXPECT_NEAR(std::exp(kept.log_beta[i]), 1 - kept.signal[i] / before, 1e-12);
  }
}

struct DiffusionLoss {
  double noise = 0, variational = 0;
};

DiffusionLoss LossOf(const HeadFixture<DiffusionHead>& f, const NetworkOracle& net,
                     const NetworkOracle& frozen, int64_t row, int64_t position) {
  const DiffusionSchedule s = CosineSchedule(1000);
  DiffusionLoss loss;
  for (int64_t draw = 0; draw < kDraws; ++draw) {
    const Vector z = f.Target(row, draw, position);
    const Vector noise =
        f.Numbers(f.noise.Normal({kDraws, kPositions, kLatent}), row, draw, position);
    const auto t = static_cast<int64_t>(1000 * f.Uniform(row, draw, position));
    Vector noisy(kLatent);
    for (int64_t i = 0; i < kLatent; ++i) {
      noisy[i] = std::sqrt(s.signal[t]) * z[i] + std::sqrt(1 - s.signal[t]) * noise[i];
    }
    const auto predict = [&](const NetworkOracle& by) {
      return Denoise(by, noisy, t, f.Hidden(row, position), f.spec.head_layers);
    };
    const Vector out = predict(net), fixed = predict(frozen);
    for (int64_t i = 0; i < kLatent; ++i) {
      loss.noise += std::pow(out[i] - noise[i], 2) / kLatent / kDraws;
      const double share = (out[kLatent + i] + 1) / 2;
      const double log_variance = share * s.log_beta[t] + (1 - share) * s.log_posterior[t];
      const double latent =
          (noisy[i] - std::sqrt(1 - s.signal[t]) * fixed[i]) / std::sqrt(s.signal[t]);
      const double mean = s.from_latent[t] * latent + s.from_noisy[t] * noisy[i];
      const double truth = s.from_latent[t] * z[i] + s.from_noisy[t] * noisy[i];
      // KL(N(truth, a) || N(mean, b)), or -log N(z; mean, b) for the last step.
      const double a = std::exp(s.log_posterior[t]), b = std::exp(log_variance);
      const double nats = t == 0
                              ? 0.5 * (std::log(kTwoPi * b) + std::pow(z[i] - mean, 2) / b)
                              : 0.5 * (std::log(b / a) + (a + std::pow(truth - mean, 2)) / b - 1);
      loss.variational += nats / std::log(2.0) / kLatent / kDraws;
    }
  }
  return loss;
}

TEST(DiffusionHeadTest, LossMatchesTheFormula) {
  HeadFixture<DiffusionHead> f(jobs::HeadKind::kDiffusion);
  const NetworkOracle net({&f.unit});
  const LatentHead::Loss loss = f.head.TrainingLoss(f.hidden, f.next, f.noise);
  ASSERT_EQ(loss.terms.size(), 2u);
  EXPECT_EQ(loss.terms[0].first, "noise");
  EXPECT_EQ(loss.terms[1].first, "variational");
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t p = 0; p < kPositions; ++p) {
      const DiffusionLoss expected = LossOf(f, net, net, row, p);
      const int64_t at = row * kPositions + p;
      EXPECT_NEAR(loss.terms[0].second[at].item<double>(), expected.noise, 1e-4 * expected.noise);
      EXPECT_NEAR(loss.terms[1].second[at].item<double>(), expected.variational,
                  1e-3 * std::abs(expected.variational));
      EXPECT_NEAR(loss.loss[at].item<double>(), expected.noise + expected.variational,
                  1e-3 * (expected.noise + std::abs(expected.variational)));
    }
  }
}

TEST(DiffusionHeadTest, TheBoundTrainsTheVarianceAlone) {
  HeadFixture<DiffusionHead> f(jobs::HeadKind::kDiffusion);
  f.head.TrainingLoss(f.hidden, f.next, f.noise).loss.sum().backward();
  const NetworkOracle frozen({&f.unit});
  ExpectGradientsMatch({&f.unit}, NetworkOracle({&f.unit}), [&](const NetworkOracle& net) {
    double sum = 0;
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t p = 0; p < kPositions; ++p) {
        const DiffusionLoss loss = LossOf(f, net, frozen, row, p);
        sum += loss.noise + loss.variational;
      }
    }
    return sum;
  });
}

// Whatever the noise, an exact denoiser of a point ends at the point: the steps' arithmetic alone.
TEST(DiffusionHeadTest, AncestralStepsMatchTheFormula) {
  HeadFixture<DiffusionHead> f(jobs::HeadKind::kDiffusion);
  f.spec.diffusion_steps = 5;
  Unit unit("head");
  DiffusionHead head(unit, f.spec, kLatent);
  Randomise({&unit}, 3);
  const NetworkOracle net({&unit});
  const DiffusionSchedule s = CosineSchedule(5);
  const NoiseRows noise{5, NoiseStream::kHeadNoise, 2, {7}};
  const at::Tensor hidden = f.hidden.narrow(0, 0, 1).narrow(1, 0, 1);
  // Number n of the draws at a step, as model/heads/diffusion_head.cc places it.
  const auto noise_of = [&](int64_t step, int64_t draw) {
    Vector numbers;
    for (int64_t n = draw * kLatent; n < (draw + 1) * kLatent; ++n) {
      const uint64_t place = (static_cast<uint64_t>(n) >> 23 << 34) +
                             (static_cast<uint64_t>(step) << 23) + n % (int64_t{1} << 23);
      numbers.push_back(noise.Normal({1}, place).item<double>());
    }
    return numbers;
  };
  // The last draw that is whole before 2^23 numbers are used up, and those after it.
  const int64_t last = (int64_t{1} << 23) / kLatent - 1;
  for (const int64_t first : {int64_t{0}, last}) {
    const at::Tensor samples = head.Sample(hidden, first, 4, noise);
    EXPECT_TRUE(at::allclose(head.Sample(hidden, first + 1, 2, noise), samples.narrow(0, 1, 2),
                             1e-4, 1e-5));
    Vector x = noise_of(0, first + 2);
    for (int64_t step = 0; step < 5; ++step) {
      const int64_t t = 4 - step;
      const Vector out = Denoise(net, x, s.times[t], f.Hidden(0, 0), f.spec.head_layers);
      const Vector fresh = noise_of(step + 1, first + 2);
      for (int64_t i = 0; i < kLatent; ++i) {
        const double latent = (x[i] - std::sqrt(1 - s.signal[t]) * out[i]) / std::sqrt(s.signal[t]);
        x[i] = s.from_latent[t] * latent + s.from_noisy[t] * x[i];
        const double share = (out[kLatent + i] + 1) / 2;
        const double log_variance = share * s.log_beta[t] + (1 - share) * s.log_posterior[t];
        if (t > 0) x[i] += std::exp(0.5 * log_variance) * fresh[i];
      }
    }
    for (int64_t i = 0; i < kLatent; ++i) {
      EXPECT_NEAR(samples[2][0][0][i].item<double>(), x[i], 1e-3 * (1 + std::abs(x[i])));
    }
  }
}

TEST(LatentHeadTest, DrawsBeyondTheRandomNumbersOfARowAreRefused) {
  HeadFixture<DiffusionHead> f(jobs::HeadKind::kDiffusion);
  Unit unit("head");
  DiffusionHead head(unit, f.spec, kLatent);
  const int64_t most = (int64_t{1} << 34) / kLatent;
  EXPECT_TRUE(head.CheckDraws(most, 1).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(head.CheckDraws(most + 1, 1)));
  EXPECT_TRUE(absl::IsInvalidArgument(head.CheckDraws(most / 2, 3)));
  EXPECT_TRUE(absl::IsInvalidArgument(head.CheckDraws(int64_t{1} << 62, int64_t{1} << 20)));
}

}  // namespace
}  // namespace halcyon::model
