// The tokens of decoded latents: the blocked argmax against the materialised logits, at the sizes
// of a generation step (T = 0.5, 200 samples, K = 4), of one sample, and of a large vocabulary. The
// counter extra_bytes is the most memory that a pass held at once beyond its inputs.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include "bench/allocation_meter.h"
#include "model/argmax.h"

namespace halcyon::model {
namespace {

at::Tensor Materialised(const at::Tensor& rows, const at::Tensor& table) {
  return at::mm(rows, table.t()).argmax(1);
}

void Run(benchmark::State& state, at::Tensor (*argmax)(const at::Tensor&, const at::Tensor&)) {
  at::set_num_threads(1);
  const at::Tensor rows = at::randn({state.range(0), state.range(2)});
  const at::Tensor table = at::randn({state.range(1), state.range(2)});
  const int64_t extra_bytes =
      bench::PeakBytes([&] { benchmark::DoNotOptimize(argmax(rows, table)); });
  for (auto _ : state) benchmark::DoNotOptimize(argmax(rows, table));
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.counters["extra_bytes"] = static_cast<double>(extra_bytes);
}

void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"rows", "vocab", "width"})
      ->Args({800, 8192, 256})
      ->Args({4, 8192, 256})
      ->Args({800, 128257, 512})
      ->Unit(benchmark::kMillisecond);
}

BENCHMARK_CAPTURE(Run, blocked, BlockedArgmax)->Apply(Sizes);
BENCHMARK_CAPTURE(Run, materialised, Materialised)->Apply(Sizes);

}  // namespace
}  // namespace halcyon::model
