// Encoding chunks into latents with the paper's autoencoder (K = 4, 128 elements, hidden 512) and
// the vocabulary of Llama 3, in batches of 1024 as agents do, on one thread. Counters: of_products:
// the rate of the products that are made, as a share of what a large product reaches on the same
// thread; chunks/s; kept: with the states of all tokens kept (Autoencoder::KeepTokenStates).
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "jobs/flops.h"
#include "jobs/presets.h"
#include "model/autoencoder.h"
#include "model/initialise.h"
#include "model/noise.h"
#include "worker/inputs/latent_batches.h"
#include "worker/training/matrix_rate.h"

namespace halcyon::worker {
namespace {

constexpr int64_t kVocabulary = 128'256;

// Ids as text has them: the n-th most frequent one 1/n times as often.
at::Tensor TextOf(int64_t chunks, int64_t chunk_size) {
  model::NoiseRows rows{/*seed=*/1, NoiseStream::kEvaluation, /*step=*/0, {}};
  for (int64_t chunk = 0; chunk < chunks; ++chunk)
    rows.rows.push_back(static_cast<uint64_t>(chunk));
  const at::Tensor uniform = rows.Uniform({chunk_size}).to(at::kDouble);
  return at::exp(uniform * std::log(static_cast<double>(kVocabulary))).to(at::kLong) - 1;
}

void Encode(benchmark::State& state) {
  at::set_num_threads(1);
  c10::NoGradGuard no_grad;
  model::Autoencoder autoencoder(jobs::PaperAutoencoder(), kVocabulary);
  for (model::Unit* unit : autoencoder.units()) {
    unit->Materialise();
    model::Initialise(*unit, jobs::InitRule::kFanIn, 1.0, 1);
  }
  const bool kept = state.range(0) == 1;
  if (kept) autoencoder.KeepTokenStates();
  const at::Tensor text = TextOf(kLatentBatchChunks, autoencoder.spec().chunk_size);
  for (auto _ : state) benchmark::DoNotOptimize(autoencoder.Encode(text).mean);
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kLatentBatchChunks));
  const double flops = kLatentBatchChunks * jobs::EncodingFlops(autoencoder.spec(), kept);
  state.counters["of_products"] =
      benchmark::Counter(flops / MeasureMatrixRate(at::kFloat, c10::kCPU),
                         benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(Encode)->ArgName("kept")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace halcyon::worker
