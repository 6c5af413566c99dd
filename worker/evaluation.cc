#include "worker/evaluation.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>

#include "model/noise.h"
#include "worker/window_tensors.h"

namespace halcyon::worker {
namespace {

using pipeline::Split;

// Adds one held-out window to the sums. `counts` is false for a window that only keeps ranks in
// step.
struct WindowScorer {
  model::CalmModel& model;
  model::Autoencoder& autoencoder;
  const pipeline::WindowLoader& loader;
  const LanguageModelOptions& options;
  model::BrierAccumulator brier;
  double loss = 0;
  std::map<std::string, double> terms = {};
  double positions_all = 0;

  absl::Status Add(uint64_t window, bool counts) {
    const int64_t chunk_size = autoencoder.spec().chunk_size;
    const int64_t latent = autoencoder.spec().latent_size;
    ASSIGN_OR_RETURN(const WindowTensors data,
                     LoadWindows(loader, Split::kHeldout, {window}, latent));
    const Prediction prediction = ToPrediction(data, model.SeesLatents());
    const int64_t positions = prediction.tokens.size(1);
    const at::Tensor hidden = model.Backbone(prediction.tokens, prediction.latents);
    const model::NoiseRows noise{options.seed, NoiseStream::kEvaluation, 0, {window}};
    const at::Tensor samples = model.Sample(hidden, 0, options.samples, noise);
    const at::Tensor drawn = autoencoder.DecodeTokens(samples.reshape({-1, latent}))
                                 .reshape({options.samples, positions, chunk_size})
                                 .transpose(0, 1)
                                 .contiguous();  // [positions, samples, K]
    const model::LatentHead::Loss head = model.HeadLoss(hidden, prediction.next, noise);
    for (const auto& [name, values] : head.terms) terms[name] += 0;
    if (!counts) return absl::OkStatus();
    loss += head.loss.sum().item<double>();
    for (const auto& [name, values] : head.terms) terms[name] += values.sum().item<double>();
    positions_all += static_cast<double>(positions);
    AddBrier(window, drawn, data.tokens);
    return absl::OkStatus();
  }

  void AddBrier(uint64_t window, const at::Tensor& drawn, const at::Tensor& tokens) {
    const auto documents = loader.Documents(Split::kHeldout, window);
    const int64_t chunk_size = tokens.size(2);
    const int64_t* truth = tokens.const_data_ptr<int64_t>();
    const int64_t* draws = drawn.const_data_ptr<int64_t>();
    for (int64_t p = 0; p < drawn.size(0); ++p) {
      std::vector<int64_t> grams;
      for (int64_t i = 0; i < drawn.size(1); ++i) {
        const int64_t* draw = draws + (p * drawn.size(1) + i) * chunk_size;
        grams.insert(grams.end(), draw, draw + model::kBrierOrders);
      }
      brier.AddSamples(grams, {truth + (p + 1) * chunk_size, model::kBrierOrders},
                       documents[p + 1]);
    }
  }
};

// Joins the ranks' accumulators in rank order.
absl::StatusOr<model::BrierAccumulator> JoinBrier(const model::BrierAccumulator& mine,
                                                  cluster::Collectives& collectives) {
  const std::vector<double> flat = mine.Serialise();
  ASSIGN_OR_RETURN(const auto all,
                   collectives.AllGatherBytes(
                       {reinterpret_cast<const char*>(flat.data()), flat.size() * sizeof(double)}));
  model::BrierAccumulator joined;
  for (const std::string& bytes : all) {
    std::vector<double> values(bytes.size() / sizeof(double));
    std::copy_n(bytes.data(), bytes.size(), reinterpret_cast<char*>(values.data()));
    RETURN_IF_ERROR(joined.Merge(values));
  }
  return joined;
}

}  // namespace

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
  WindowScorer scorer{model, autoencoder, loader, options, {}};
  for (uint64_t turn = 0; turn * ranks < count; ++turn) {
    const uint64_t index = turn * ranks + collectives.rank();
    RETURN_IF_ERROR(scorer.Add(std::min(index, count - 1) * total / count, index < count));
  }
  // Every rank has the same names: each scored a window, counted or not.
  std::vector<double> sums = {scorer.loss, scorer.positions_all};
  for (const auto& [name, value] : scorer.terms) sums.push_back(value);
  RETURN_IF_ERROR(collectives.AllReduceSum(sums));
  ASSIGN_OR_RETURN(const auto brier, JoinBrier(scorer.brier, collectives));
  LanguageModelScore score;
  score.loss = sums[0] / sums[1];
  size_t next = 2;
  for (const auto& [name, value] : scorer.terms) score.terms[name] = sums[next++] / sums[1];
  score.brier = brier.Compute(model::BrierProtocol::kPairwise, options.seed, options.bootstrap);
  score.windows = count;
  score.token_context = static_cast<uint64_t>(loader.window_chunks()) * chunk_size;
  return score;
}

absl::StatusOr<LanguageModelScore> ScoreBaseline(model::BaselineModel& model,
                                                 const pipeline::WindowLoader& loader,
                                                 const LanguageModelOptions& options,
                                                 cluster::Collectives& collectives) {
  c10::NoGradGuard no_grad;
  const uint64_t total = loader.Windows(Split::kHeldout);
  const uint64_t count = std::min<uint64_t>(options.windows, total);
  const uint64_t ranks = collectives.size();
  std::vector<double> sums = {0, 0};
  for (uint64_t turn = 0; turn * ranks < count; ++turn) {
    const uint64_t index = turn * ranks + collectives.rank();
    const uint64_t window = std::min(index, count - 1) * total / count;
    ASSIGN_OR_RETURN(const WindowTensors data,
                     LoadWindows(loader, Split::kHeldout, {window}, /*latent_size=*/0));
    const at::Tensor tokens = data.tokens.flatten(1);
    const int64_t positions = tokens.size(1) - 1;
    const at::Tensor logits = model.Logits(tokens.narrow(1, 0, positions));
    const at::Tensor loss = at::cross_entropy_loss(
        logits.flatten(0, 1), tokens.narrow(1, 1, positions).flatten(), {}, at::Reduction::Sum);
    if (index >= count) continue;
    sums[0] += loss.item<double>();
    sums[1] += static_cast<double>(positions);
  }
  RETURN_IF_ERROR(collectives.AllReduceSum(sums));
  LanguageModelScore score;
  score.loss = sums[0] / sums[1];
  score.windows = count;
  score.token_context = static_cast<uint64_t>(loader.window_chunks()) * 4;
  return score;
}

}  // namespace halcyon::worker
