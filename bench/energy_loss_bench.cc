// The energy loss, forward and backward: the exact fused form against the paper's estimate from
// M = 100 materialised draws.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include "model/energy_loss.h"
#include "model/noise.h"

namespace halcyon::model {
namespace {

constexpr int64_t kSamples = 8;
constexpr int64_t kDraws = 100;
constexpr double kAlpha = 1.0;

at::Tensor Normals(std::vector<int64_t> shape, uint64_t seed) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  const uint64_t row = 0;
  return NoiseRows{seed, NoiseStream::kEvaluation, 0, {row}}.Normal({count}).view(shape);
}

struct Problem {
  Problem(int64_t positions, int64_t latent)
      : samples(Normals({kSamples, positions, latent}, 1).requires_grad_(true)),
        mean(Normals({positions, latent}, 2)),
        log_std(0.1 * Normals({positions, latent}, 3) - 1) {}
  at::Tensor samples, mean, log_std;
};

void Exact(benchmark::State& state) {
  at::set_num_threads(1);
  Problem problem(state.range(0), state.range(1));
  for (auto _ : state) {
    ExactEnergyLoss(problem.samples, problem.mean, problem.log_std, kAlpha)
        .energy.mean()
        .backward();
    problem.samples.mutable_grad() = at::Tensor();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void Materialised(benchmark::State& state) {
  at::set_num_threads(1);
  Problem problem(state.range(0), state.range(1));
  uint64_t step = 0;
  const uint64_t row = 0;
  for (auto _ : state) {
    // Fresh draws every step are part of what this form costs.
    const at::Tensor normal = NoiseRows{1, NoiseStream::kTargetSamples, step++, {row}}
                                  .Normal({kDraws, state.range(0), state.range(1)})
                                  .squeeze(0);
    SampledEnergyLoss(problem.samples, problem.mean, problem.log_std, normal, kAlpha)
        .energy.mean()
        .backward();
    problem.samples.mutable_grad() = at::Tensor();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

BENCHMARK(Exact)->ArgsProduct({{64, 252, 1020}, {32, 128}})->Unit(benchmark::kMillisecond);
BENCHMARK(Materialised)->ArgsProduct({{64, 252, 1020}, {32, 128}})->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace halcyon::model
