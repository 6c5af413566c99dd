#include "model/heads/diffusion_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.h"

namespace halcyon::model {
namespace {

constexpr double kBetaMax = 0.999;
constexpr double kOffset = 0.008;  // keeps the first betas from vanishing

// The cumulative signal of the whole process after each step, with the betas' cap applied.
std::vector<double> WholeSignal() {
  const auto cosine = [](double time) {
    const double angle = (time + kOffset) / (1 + kOffset) * std::numbers::pi / 2;
    return std::cos(angle) * std::cos(angle);
  };
  std::vector<double> signal;
  double product = 1;
  for (int64_t t = 0; t < kDiffusionSteps; ++t) {
    const double before = static_cast<double>(t) / kDiffusionSteps;
    const double after = static_cast<double>(t + 1) / kDiffusionSteps;
    product *= 1 - std::min(1 - cosine(after) / cosine(before), kBetaMax);
    signal.push_back(product);
  }
  return signal;
}

}  // namespace

DiffusionSchedule CosineSchedule(int64_t kept) {
  HALCYON_CHECK(kept >= 2 && kept <= kDiffusionSteps);
  const std::vector<double> whole = WholeSignal();
  const double stride = static_cast<double>(kDiffusionSteps - 1) / static_cast<double>(kept - 1);
  DiffusionSchedule schedule;
  double before = 1;
  for (int64_t i = 0; i < kept; ++i) {
    const int64_t time = std::lround(std::nearbyint(static_cast<double>(i) * stride));
    const double signal = whole[time];
    const double beta = 1 - signal / before;
    const double variance = beta * (1 - before) / (1 - signal);
    schedule.times.push_back(time);
    schedule.signal.push_back(signal);
    schedule.log_beta.push_back(std::log(beta));
    schedule.log_posterior.push_back(std::log(variance));  // -infinity at 0, replaced below
    schedule.from_latent.push_back(beta * std::sqrt(before) / (1 - signal));
    schedule.from_noisy.push_back((1 - before) * std::sqrt(signal / before) / (1 - signal));
    before = signal;
  }
  schedule.log_posterior[0] = schedule.log_posterior[1];
  return schedule;
}

}  // namespace halcyon::model
