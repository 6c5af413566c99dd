#include "worker/evaluation.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>

#include "model/energy_loss.h"
#include "model/noise.h"

namespace halcyon::worker {
namespace {

using pipeline::Split;

// Chunks encoded at a time.
constexpr uint64_t kBlockChunks = 1024;

// Adds one held-out window to the sums. `counts` is false for a window that only keeps ranks in
// step.
struct WindowScorer {
  model::CalmModel& model;
  model::Autoencoder& autoencoder;
  const pipeline::WindowLoader& loader;
  const LanguageModelOptions& options;
  model::BrierAccumulator brier;
  std::vector<double> sums = {0, 0, 0, 0};  // energy, target, spread, positions

  absl::Status Add(uint64_t window, bool counts) {
    const int64_t chunk_size = autoencoder.spec().chunk_size;
    const int64_t latent = autoencoder.spec().latent_size;
    ASSIGN_OR_RETURN(const WindowTensors data,
                     LoadWindows(loader, Split::kHeldout, {window}, chunk_size, latent));
    const int64_t positions = data.tokens.size(1) - 1;
    const at::Tensor hidden = model.Backbone(data.tokens.narrow(1, 0, positions));
    const model::NoiseKey key{options.seed, NoiseStream::kEvaluation, 0};
    const std::vector<uint64_t> ids = {window};
    const at::Tensor noise =
        model::UniformNoise(key, ids, {options.samples, positions, model.spec().noise_size})
            .transpose(0, 1) -
        0.5;
    const at::Tensor samples = model.Sample(hidden, noise).squeeze(1).contiguous();
    const at::Tensor drawn = autoencoder.DecodeTokens(samples.reshape({-1, latent}))
                                 .reshape({options.samples, positions, chunk_size})
                                 .transpose(0, 1)
                                 .contiguous();  // [positions, samples, K]
    if (!counts) return absl::OkStatus();
    const auto terms = model::ExactEnergyLoss(
        samples, data.posterior.mean.narrow(0, 1, positions).contiguous(),
        data.posterior.log_std.narrow(0, 1, positions).contiguous(), model.spec().alpha);
    sums[0] += terms.energy.sum().item<double>();
    sums[1] += terms.target.sum().item<double>();
    sums[2] += terms.spread.sum().item<double>();
    sums[3] += static_cast<double>(positions);
    AddBrier(window, drawn, data.tokens);
    return absl::OkStatus();
  }

  void AddBrier(uint64_t window, const at::Tensor& drawn, const at::Tensor& tokens) {
    const auto documents = loader.Documents(Split::kHeldout, window);
    const int64_t chunk_size = tokens.size(2);
    const int64_t* truth = tokens.const_data_ptr<int64_t>();
    const int64_t* draws = drawn.const_data_ptr<int64_t>();
    for (int64_t p = 0; p < drawn.size(0); ++p) {
      brier.Add(
          {draws + p * drawn.size(1) * chunk_size, static_cast<size_t>(drawn.size(1) * chunk_size)},
          {truth + (p + 1) * chunk_size, static_cast<size_t>(chunk_size)}, documents[p + 1]);
    }
  }
};

// Joins the ranks' accumulators in rank order.
absl::StatusOr<model::BrierAccumulator> JoinBrier(const model::BrierAccumulator& mine,
                                                  int64_t chunk_size,
                                                  cluster::Collectives& collectives) {
  const std::vector<double> flat = mine.Serialise();
  ASSIGN_OR_RETURN(const auto all,
                   collectives.AllGatherBytes(
                       {reinterpret_cast<const char*>(flat.data()), flat.size() * sizeof(double)}));
  model::BrierAccumulator joined(chunk_size);
  for (const std::string& bytes : all) {
    std::vector<double> values(bytes.size() / sizeof(double));
    std::copy_n(bytes.data(), bytes.size(), reinterpret_cast<char*>(values.data()));
    RETURN_IF_ERROR(joined.Merge(values));
  }
  return joined;
}

}  // namespace

absl::StatusOr<WindowTensors> LoadWindows(const pipeline::WindowLoader& loader, Split split,
                                          const std::vector<uint64_t>& windows, int64_t chunk_size,
                                          int64_t latent_size) {
  std::vector<uint32_t> ids;
  std::vector<float> posteriors;
  for (const uint64_t window : windows) {
    RETURN_IF_ERROR(loader.Load(split, window, &ids, &posteriors));
  }
  WindowTensors data;
  data.tokens = at::empty(
      {static_cast<int64_t>(windows.size()), loader.window_chunks(), chunk_size}, at::kLong);
  std::copy(ids.begin(), ids.end(), data.tokens.data_ptr<int64_t>());
  const int64_t chunks = static_cast<int64_t>(windows.size()) * loader.window_chunks();
  const at::Tensor both = at::empty({chunks, 2 * latent_size}, at::kFloat);
  std::copy(posteriors.begin(), posteriors.end(), both.data_ptr<float>());
  data.posterior.mean = both.narrow(1, 0, latent_size).contiguous();
  data.posterior.log_std = both.narrow(1, latent_size, latent_size).contiguous();
  return data;
}

absl::StatusOr<Reconstruction> MeasureReconstruction(model::Autoencoder& autoencoder,
                                                     const pipeline::Packing& packing,
                                                     uint64_t chunks_max,
                                                     cluster::Collectives& collectives) {
  c10::NoGradGuard no_grad;
  const uint64_t held_out = packing.Chunks(Split::kHeldout);
  const uint64_t chunks = chunks_max == 0 ? held_out : std::min(chunks_max, held_out);
  const uint64_t blocks = (chunks + kBlockChunks - 1) / kBlockChunks;
  const uint64_t ranks = collectives.size();
  const int64_t chunk_size = autoencoder.spec().chunk_size;
  std::vector<double> sums = {0, 0};  // right, all
  for (uint64_t turn = 0; turn * ranks < blocks; ++turn) {
    const uint64_t block = turn * ranks + collectives.rank();
    const uint64_t first = std::min(block, blocks - 1) * kBlockChunks;
    const uint64_t count = std::min(kBlockChunks, chunks - first);
    std::vector<uint32_t> ids(count * chunk_size);
    RETURN_IF_ERROR(packing.Tokens(Split::kHeldout, first, ids));
    const at::Tensor tokens = at::empty({static_cast<int64_t>(count), chunk_size}, at::kLong);
    std::copy(ids.begin(), ids.end(), tokens.data_ptr<int64_t>());
    const at::Tensor decoded = autoencoder.DecodeTokens(autoencoder.Encode(tokens).mean);
    if (block >= blocks) continue;
    const at::Tensor real = tokens.ne(static_cast<int64_t>(packing.rule().padding));
    sums[0] += decoded.eq(tokens).logical_and(real).sum().item<double>();
    sums[1] += real.sum().item<double>();
  }
  RETURN_IF_ERROR(collectives.AllReduceSum(sums));
  Reconstruction result;
  result.tokens = static_cast<uint64_t>(sums[1]);
  result.accuracy = sums[1] > 0 ? sums[0] / sums[1] : 0;
  return result;
}

absl::StatusOr<LanguageModelScore> ScoreLanguageModel(model::CalmModel& model,
                                                      model::Autoencoder& autoencoder,
                                                      const pipeline::WindowLoader& loader,
                                                      const LanguageModelOptions& options,
                                                      cluster::Collectives& collectives) {
  c10::NoGradGuard no_grad;
  const uint64_t total = loader.Windows(Split::kHeldout);
  if (total == 0) {
    return InvalidArgument("the held-out text fills no window of " +
                           std::to_string(loader.window_chunks()) +
                           " chunks; raise data.heldout or lower model.window_chunks");
  }
  const uint64_t count = std::min<uint64_t>(options.windows, total);
  const uint64_t ranks = collectives.size();
  const int64_t chunk_size = autoencoder.spec().chunk_size;
  WindowScorer scorer{model, autoencoder, loader, options, model::BrierAccumulator(chunk_size)};
  for (uint64_t turn = 0; turn * ranks < count; ++turn) {
    const uint64_t index = turn * ranks + collectives.rank();
    RETURN_IF_ERROR(scorer.Add(std::min(index, count - 1) * total / count, index < count));
  }
  RETURN_IF_ERROR(collectives.AllReduceSum(scorer.sums));
  ASSIGN_OR_RETURN(const auto brier, JoinBrier(scorer.brier, chunk_size, collectives));
  LanguageModelScore score;
  score.energy = scorer.sums[0] / scorer.sums[3];
  score.target = scorer.sums[1] / scorer.sums[3];
  score.spread = scorer.sums[2] / scorer.sums[3];
  score.brier = brier.Compute(options.seed, options.bootstrap);
  score.windows = count;
  score.token_context = static_cast<uint64_t>(loader.window_chunks()) * chunk_size;
  return score;
}

}  // namespace halcyon::worker
