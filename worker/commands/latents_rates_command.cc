#include "worker/commands/latents_rates_command.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/standard_output.h"
#include "jobs/job_spec.h"
#include "model/autoencoder.h"
#include "model/initialise.h"
#include "model/noise.h"
#include "model/precision.h"
#include "worker/best_time.h"
#include "worker/compute_device.h"
#include "worker/inputs/latent_batches.h"
#include "worker/training/matrix_rate.h"

namespace halcyon::worker {
namespace {

// Looking up rows of a larger table takes little longer, and making what is kept of its tokens
// would take most of the time.
constexpr int64_t kVocabularyMax = 8192;
constexpr int64_t kEncodingUs = 300'000;

// Of batches as agents encode them, the best of several: a disturbance does not count.
double ChunksASecond(model::Autoencoder& autoencoder, const at::Tensor& tokens, int threads) {
  at::set_num_threads(threads);
  EncodeRows(autoencoder, tokens);  // the first one chooses and prepares its kernels
  const int64_t best_us = BestTimeUs(kEncodingUs, [&] { EncodeRows(autoencoder, tokens); });
  return static_cast<double>(tokens.size(0)) * 1e6 / static_cast<double>(best_us);
}

at::Tensor RandomChunks(int64_t chunk_size, int64_t vocab_size) {
  model::NoiseRows rows{/*seed=*/1, NoiseStream::kEvaluation, /*step=*/0, {}};
  for (uint64_t chunk = 0; chunk < kLatentBatchChunks; ++chunk) rows.rows.push_back(chunk);
  return (rows.Uniform({chunk_size}) * vocab_size).to(at::kLong).clamp_max(vocab_size - 1);
}

}  // namespace

absl::Status RunLatentsRates(const LatentsRatesCommand& command) {
  ASSIGN_OR_RETURN(const std::string toml, Env::Posix()->ReadFile(command.spec_path));
  ASSIGN_OR_RETURN(const jobs::JobSpec spec,
                   jobs::ParseJobSpec(toml, command.spec_path, DirName(command.spec_path),
                                      /*check_files=*/false));
  ASSIGN_OR_RETURN(const ComputeDevice compute, ChooseDevice(spec.launch.device));
  const int64_t vocab_size = std::clamp<int64_t>(command.vocab_size, 1, kVocabularyMax);
  model::Autoencoder autoencoder(spec.autoencoder, vocab_size);
  for (model::Unit* unit : autoencoder.units()) {
    unit->Materialise(compute.device);
    model::Initialise(*unit, spec.autoencoder.init, spec.autoencoder.init_std, /*seed=*/1);
  }
  autoencoder.EncodeIn(spec.data.encoding_precision);
  if (KeepsTokenStates(spec.autoencoder.chunk_size, command.vocab_size, command.text_chunks)) {
    autoencoder.KeepTokenStates();
  }
  const at::Tensor tokens = RandomChunks(spec.autoencoder.chunk_size, vocab_size);
  const int threads = static_cast<int>(spec.launch.threads);
  const double of_agent = ChunksASecond(autoencoder, tokens, /*threads=*/1);
  const double of_rank = ChunksASecond(autoencoder, tokens, threads);
  const nlohmann::json rates = {
      {"device", compute.name},
      {"is_gpu", compute.is_gpu()},
      {"agent_chunks", of_agent},
      {"rank_chunks", of_rank},
      {"rank_flops", MeasureMatrixRate(model::TypeOf(spec.train.precision), compute.device)}};
  StandardOutput::OfProcess().Print(rates.dump() + "\n");
  return absl::OkStatus();
}

}  // namespace halcyon::worker
