#include "worker/scoring/language_model_score.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "model/noise.h"
#include "worker/inputs/window_tensors.h"
#include "worker/scoring/evaluation_noise.h"
#include "worker/scoring/rollout.h"
#include "worker/scoring/score_tally.h"

namespace halcyon::worker {
namespace {

using model::kBrierOrders;
using pipeline::Split;

void AddBrier(const at::Tensor& grams, const at::Tensor& tokens,
              const std::vector<uint64_t>& documents, model::BrierAccumulator* brier) {
  const int64_t chunk_size = tokens.size(2);
  const auto numbers = static_cast<size_t>(grams.size(1) * kBrierOrders);
  const int64_t* truth = tokens.const_data_ptr<int64_t>();
  const int64_t* draws = grams.const_data_ptr<int64_t>();
  for (int64_t p = 0; p < grams.size(0); ++p, draws += numbers) {
    brier->AddSamples({draws, numbers}, {truth + (p + 1) * chunk_size, kBrierOrders},
                      documents[p + 1]);
  }
}

}  // namespace

absl::StatusOr<LanguageModelScore> ScoreLanguageModel(model::CalmModel& model,
                                                      model::Autoencoder& autoencoder,
                                                      const pipeline::WindowLoader& windows,
                                                      const LanguageModelOptions& options,
                                                      cluster::Collectives& collectives) {
  c10::NoGradGuard no_grad;
  const int64_t chunk_size = model.chunk_size(), latent = model.latent_size();
  const bool two = options.protocol == model::BrierProtocol::kTwoSamples;
  const int64_t samples = two ? 2 : options.samples;
  RETURN_IF_ERROR(model.head().CheckDraws(samples, windows.window_chunks()));
  const auto score_window = [&](uint64_t window) -> absl::StatusOr<ScoreTally> {
    ASSIGN_OR_RETURN(WindowTensors data,
                     LoadWindows(windows, Split::kHeldout, {window}, model.spec().document_mask));
    if (!data.posterior.mean.defined()) {
      ASSIGN_OR_RETURN(data.posterior,
                       EncodeWindows(autoencoder, data.tokens, options.latent_format));
    }
    const Prediction prediction = ToPrediction(data, model.SeesLatents());
    model::BackboneCache cache;
    const model::Placement placement = PlacementOf(data.first_visible, prediction.tokens.size(1));
    const at::Tensor hidden = model.Backbone(prediction.tokens, prediction.latents, &placement,
                                             ChunksOfGram(chunk_size) > 1 ? &cache : nullptr);
    const auto noise = [&](uint64_t purpose) {
      return model::NoiseRows{options.seed, NoiseStream::kEvaluation, purpose, {window}};
    };
    ScoreTally tally;
    const auto add = [&](const std::string& name, const at::Tensor& values) {
      tally.means[name] = {values.sum().item<double>(), static_cast<double>(values.numel())};
    };
    const auto loss = model.HeadLoss(hidden, prediction.next, noise(kHeldoutLoss));
    add("loss", loss.loss);
    for (const auto& [name, values] : loss.terms) add(name, values);

    const int64_t places = data.tokens.size(1) - ChunksOfGram(chunk_size);
    const at::Tensor latents =
        model.Sample(hidden.narrow(1, 0, places), 0, samples, noise(kScoreDraws));
    const at::Tensor draws = autoencoder.DecodeTokens(latents.reshape({-1, latent}))
                                 .view({samples, places, chunk_size})
                                 .transpose(0, 1)
                                 .cpu()
                                 .contiguous();
    const at::Tensor grams = RollOut(model, autoencoder, cache, data.tokens, data.first_visible,
                                     draws, {options.seed, window});
    ASSIGN_OR_RETURN(const std::vector<uint64_t> documents,
                     windows.Documents(Split::kHeldout, window));
    AddBrier(grams, data.tokens, documents, &tally.brier);
    return tally;
  };
  return ScoreWindows(windows, chunk_size, options, collectives, score_window);
}

}  // namespace halcyon::worker
