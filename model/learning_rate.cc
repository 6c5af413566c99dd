#include "model/learning_rate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.h"

namespace halcyon::model {
namespace {

// Part of the peak rate that is left after `progress` in [0, 1] of the decay.
double DecayFactor(jobs::LearningRateDecay decay, double final_ratio, double progress) {
  switch (decay) {
    case jobs::LearningRateDecay::kConstant:
      return 1;
    case jobs::LearningRateDecay::kLinear:
      return 1 - (1 - final_ratio) * progress;
    case jobs::LearningRateDecay::kCosine:
      return final_ratio + (1 - final_ratio) * 0.5 * (1 + std::cos(std::numbers::pi * progress));
  }
  HALCYON_CHECK(false);
  return 0;
}

}  // namespace

double LearningRate(const jobs::TrainSpec& spec, uint64_t step) {
  const double now = static_cast<double>(step);
  const double warmup = static_cast<double>(spec.warmup_steps);
  if (now < warmup) return spec.learning_rate * (now + 1) / warmup;
  const double last = static_cast<double>(spec.steps - 1);
  const double progress = last > warmup ? std::min(1.0, (now - warmup) / (last - warmup)) : 1.0;
  return spec.learning_rate * DecayFactor(spec.decay, spec.final_learning_rate_ratio, progress);
}

}  // namespace halcyon::model
