// Encoding chunks into latents with the paper's autoencoder (K = 4, 128 elements, hidden 512) and
// the vocabulary of Llama 3, in batches of 1024 as agents do, on one thread.
//
//   encoding_bench [--precision float32|bfloat16] [google-benchmark's options]
//
// Without --precision in both. kept: with the states of all tokens kept
// (Autoencoder::KeepTokenStates). Counters: chunks/s; product_rate, of a large product in the same
// precision on the same thread, operations a second; of_products, the rate of the products that
// are made, as a share of it.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <c10/core/GradMode.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "jobs/flops.h"
#include "jobs/presets.h"
#include "model/autoencoder.h"
#include "model/initialise.h"
#include "model/noise.h"
#include "model/precision.h"
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

void Encode(benchmark::State& state, jobs::Precision precision, bool kept) {
  at::set_num_threads(1);
  c10::NoGradGuard no_grad;
  model::Autoencoder autoencoder(jobs::PaperAutoencoder(), kVocabulary);
  for (model::Unit* unit : autoencoder.units()) {
    unit->Materialise();
    model::Initialise(*unit, jobs::InitRule::kFanIn, 1.0, 1);
  }
  autoencoder.EncodeIn(precision);
  if (kept) autoencoder.KeepTokenStates();
  const at::Tensor text = TextOf(kLatentBatchChunks, autoencoder.spec().chunk_size);
  for (auto _ : state) benchmark::DoNotOptimize(autoencoder.Encode(text).mean);
  const double rate = MeasureMatrixRate(model::TypeOf(precision), c10::kCPU);
  const double flops = kLatentBatchChunks * jobs::EncodingFlops(autoencoder.spec(), kept);
  state.counters["chunks/s"] =
      benchmark::Counter(kLatentBatchChunks, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["of_products"] =
      benchmark::Counter(flops / rate, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["product_rate"] = rate;
}

}  // namespace
}  // namespace halcyon::worker

int main(int argc, char** argv) {
  namespace jobs = halcyon::jobs;
  std::vector<std::string> names = {"float32", "bfloat16"};
  CLI::App app("Encoding chunks into latents");
  app.allow_extras();
  app.add_option("--precision", names)->check(CLI::IsMember({"float32", "bfloat16"}));
  CLI11_PARSE(app, argc, argv);
  for (const std::string& name : names) {
    const auto precision =
        name == "bfloat16" ? jobs::Precision::kBFloat16 : jobs::Precision::kFloat32;
    for (const bool kept : {false, true}) {
      benchmark::RegisterBenchmark((name + (kept ? "/kept" : "/every_layer")).c_str(),
                                   halcyon::worker::Encode, precision, kept)
          ->Unit(benchmark::kMillisecond);
    }
  }
  std::vector<std::string> others = app.remaining();
  others.insert(others.begin(), argv[0]);
  std::vector<char*> arguments;
  for (std::string& other : others) arguments.push_back(other.data());
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
