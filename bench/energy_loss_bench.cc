// The energy loss, forward and backward, by four forms in one run: the exact fused one; the fused
// one with M = 100 draws; torch::cdist of samples and drawn targets; and the paper's formula as it
// stands, with a tensor of [N, M, positions, latent]. Draws are part of what a form costs. The
// counter extra_bytes is the most memory that a pass held at once beyond its inputs.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <cstdint>

#include "bench/allocation_meter.h"
#include "model/energy/energy_loss.h"

namespace halcyon::model {
namespace {

constexpr int64_t kSamples = 8;
constexpr int64_t kDraws = 100;
constexpr double kPairs = kSamples * (kSamples - 1);
constexpr double kAlpha = 1.0;

struct Problem {
  Problem(int64_t positions, int64_t latent)
      : samples(at::randn({kSamples, positions, latent}).requires_grad_(true)),
        mean(at::randn({positions, latent})),
        log_std(0.1 * at::randn({positions, latent}) - 1) {}

  // By ATen's generator, the faster one, so that the forms that draw are not held back by ours.
  at::Tensor Normal() const { return at::randn({kDraws, mean.size(0), mean.size(1)}); }
  at::Tensor Targets() const { return mean + Normal() * at::exp(log_std); }

  at::Tensor samples, mean, log_std;
};

at::Tensor Exact(const Problem& p) {
  return ExactEnergyLoss(p.samples, p.mean, p.log_std, kAlpha).energy;
}

at::Tensor Sampled(const Problem& p) {
  return SampledEnergyLoss(p.samples, p.mean, p.log_std, p.Normal(), kAlpha).energy;
}

at::Tensor Cdist(const Problem& p) {
  const at::Tensor x = p.samples.transpose(0, 1).contiguous();    // [positions, N, latent]
  const at::Tensor y = p.Targets().transpose(0, 1).contiguous();  // [positions, M, latent]
  return 2 * at::cdist(x, y, 2.0).mean({1, 2}) - at::cdist(x, x, 2.0).sum({1, 2}) / kPairs;
}

// ||difference||^alpha over the last dimension, with gradient zero where the difference is.
at::Tensor SafePower(const at::Tensor& difference) {
  const at::Tensor squares = difference.square().sum(-1);
  const at::Tensor apart = squares > 0;
  return at::where(apart, at::where(apart, squares, 1.0).pow(0.5 * kAlpha), 0.0);
}

at::Tensor Materialised(const Problem& p) {
  const at::Tensor to_targets = SafePower(p.samples.unsqueeze(1) - p.Targets().unsqueeze(0));
  const at::Tensor to_samples = SafePower(p.samples.unsqueeze(1) - p.samples.unsqueeze(0));
  return 2 * to_targets.flatten(0, 1).mean(0) - to_samples.flatten(0, 1).sum(0) / kPairs;
}

void Run(benchmark::State& state, at::Tensor (*energy)(const Problem&)) {
  // As in a worker (worker/runtime.cc): freed memory stays with the process.
  mallopt(M_MMAP_THRESHOLD, 64 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  at::set_num_threads(1);
  Problem problem(state.range(0), state.range(1));
  const auto pass = [&] {
    energy(problem).mean().backward();
    problem.samples.mutable_grad() = at::Tensor();
  };
  const int64_t extra_bytes = bench::PeakBytes(pass);
  for (auto _ : state) pass();
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.counters["extra_bytes"] = static_cast<double>(extra_bytes);
}

void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"positions", "latent"})
      ->ArgsProduct({{64, 1020}, {32, 128}})
      ->Unit(benchmark::kMillisecond);
}

BENCHMARK_CAPTURE(Run, exact, Exact)->Apply(Sizes);
BENCHMARK_CAPTURE(Run, sampled, Sampled)->Apply(Sizes);
BENCHMARK_CAPTURE(Run, cdist, Cdist)->Apply(Sizes);
BENCHMARK_CAPTURE(Run, materialised, Materialised)->Apply(Sizes);

}  // namespace
}  // namespace halcyon::model
