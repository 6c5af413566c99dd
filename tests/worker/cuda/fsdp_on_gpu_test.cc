// Sharded training steps on a GPU against the same on the CPU.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/noise.h"
#include "worker/fsdp/fsdp.h"

namespace halcyon::worker {
namespace {

using jobs::Accumulate;
using jobs::Sharding;

struct Setup {
  Sharding sharding = Sharding::kFull;
  Accumulate accumulate = Accumulate::kReduced;
  int64_t recompute = 0;
  at::ScalarType gather_type = at::kFloat;
};

// Two units, three steps of two passes; the values of both shards.
std::vector<at::Tensor> Train(const Setup& setup, c10::Device device) {
  model::Unit first("first"), second("second");
  model::Parameter& weight = first.Add("weight", {64, 32}, model::InitKind::kWeight);
  model::Parameter& bias = first.Add("bias", {64}, model::InitKind::kZero);
  model::Parameter& last = second.Add("weight", {8, 64}, model::InitKind::kWeight);
  weight.decays = last.decays = true;
  cluster::SingleRank gang;
  const auto plan = PlanShards(setup.sharding, gang);
  Fsdp fsdp({&first, &second}, &gang, *plan,
            {.sharding = setup.sharding,
             .accumulate = setup.accumulate,
             .recompute = setup.recompute,
             .gather_type = setup.gather_type,
             .device = device});
  fsdp.Initialise(jobs::InitRule::kFanIn, 0.5, /*seed=*/9);
  const jobs::TrainSpec train{.learning_rate = 0.01};
  for (uint64_t step = 0; step < 3; ++step) {
    fsdp.BeginStep();
    for (const bool is_last : {false, true}) {
      fsdp.BeginPass(is_last);
      const at::Tensor input =
          model::NoiseRows{1, NoiseStream::kEvaluation, step, {is_last ? 1u : 0u}}
              .Uniform({16, 32}, device)
              .squeeze(0)
              .to(setup.gather_type);
      const at::Tensor hidden = first.Run(input, [&](const at::Tensor& rows) {
        return at::tanh(at::linear(rows, weight.value, bias.value));
      });
      second.Enter();
      const at::Tensor output = second.Exit(at::linear(hidden, last.value));
      output.to(at::kFloat).pow(2).mean().backward();
      EXPECT_TRUE(fsdp.FinishPass().ok());
    }
    const double squares = fsdp.LocalGradientSquares();
    EXPECT_GT(squares, 0);
    fsdp.OptimizerStep(train, step, 1 / std::sqrt(squares));
  }
  std::vector<at::Tensor> values;
  for (const UnitShard* shard : fsdp.shards()) {
    EXPECT_EQ(shard->value.device(), device);
    values.push_back(shard->value.cpu());
  }
  return values;
}

void ExpectSameOnBoth(const Setup& setup, double error_max) {
  const auto expected = Train(setup, c10::kCPU), found = Train(setup, c10::Device(c10::kCUDA, 0));
  for (size_t u = 0; u < expected.size(); ++u) {
    EXPECT_TRUE(at::allclose(found[u], expected[u], /*rtol=*/0, error_max))
        << u << ": " << (found[u] - expected[u]).abs().max().item<float>();
  }
}

// AdamW moves every element by about the learning rate: elements whose gradient is nearly zero
// bring its rounding up to the size of a step, so the bound is a part of one.
constexpr double kErrorMax = 1e-3;

TEST(FsdpOnGpu, TrainsAsOnTheCpu) {
  for (const Sharding sharding : {Sharding::kFull, Sharding::kGradient, Sharding::kNone}) {
    for (const Accumulate accumulate : {Accumulate::kReduced, Accumulate::kLocal}) {
      for (const int64_t recompute : {0, 1}) {
        ExpectSameOnBoth({sharding, accumulate, recompute}, kErrorMax);
      }
    }
  }
}

TEST(FsdpOnGpu, GathersInBFloat16) { ExpectSameOnBoth({.gather_type = at::kBFloat16}, 0.03); }

}  // namespace
}  // namespace halcyon::worker
