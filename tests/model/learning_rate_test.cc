#include "model/learning_rate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace halcyon::model {
namespace {

jobs::TrainSpec Schedule(jobs::LearningRateDecay decay) {
  jobs::TrainSpec spec;
  spec.steps = 101;
  spec.warmup_steps = 20;
  spec.learning_rate = 0.5;
  spec.decay = decay;
  spec.final_learning_rate_ratio = 0.1;
  return spec;
}

TEST(LearningRateTest, WarmsUpLinearly) {
  for (const auto decay : {jobs::LearningRateDecay::kConstant, jobs::LearningRateDecay::kCosine,
                           jobs::LearningRateDecay::kLinear}) {
    const jobs::TrainSpec spec = Schedule(decay);
    for (uint64_t step = 0; step < 20; ++step) {
      EXPECT_DOUBLE_EQ(LearningRate(spec, step), 0.5 * static_cast<double>(step + 1) / 20);
    }
    EXPECT_DOUBLE_EQ(LearningRate(spec, 20), 0.5);
  }
}

TEST(LearningRateTest, DecaysByTheClosedForms) {
  const jobs::TrainSpec constant = Schedule(jobs::LearningRateDecay::kConstant);
  const jobs::TrainSpec linear = Schedule(jobs::LearningRateDecay::kLinear);
  const jobs::TrainSpec cosine = Schedule(jobs::LearningRateDecay::kCosine);
  for (uint64_t step = 20; step <= 100; ++step) {
    const double progress = static_cast<double>(step - 20) / 80;
    EXPECT_DOUBLE_EQ(LearningRate(constant, step), 0.5);
    EXPECT_NEAR(LearningRate(linear, step), 0.5 - 0.45 * progress, 1e-12);
    EXPECT_NEAR(LearningRate(cosine, step),
                0.05 + 0.225 * (1 + std::cos(std::numbers::pi * progress)), 1e-12);
  }
  EXPECT_NEAR(LearningRate(linear, 100), 0.05, 1e-12);
  EXPECT_NEAR(LearningRate(cosine, 100), 0.05, 1e-12);
}

TEST(LearningRateTest, HandlesSchedulesThatAreAllOrNoWarmUp) {
  jobs::TrainSpec spec = Schedule(jobs::LearningRateDecay::kCosine);
  spec.warmup_steps = 0;
  EXPECT_DOUBLE_EQ(LearningRate(spec, 0), 0.5);
  spec.warmup_steps = 500;
  EXPECT_DOUBLE_EQ(LearningRate(spec, 100), 0.5 * 101 / 500);
  spec.steps = 1;
  spec.warmup_steps = 0;
  EXPECT_NEAR(LearningRate(spec, 0), 0.05, 1e-12);
}

}  // namespace
}  // namespace halcyon::model
