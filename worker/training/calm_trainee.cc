#include "worker/training/calm_trainee.h"

#include <ATen/ATen.h>

#include "model/noise.h"
#include "worker/generation/calm_sampler.h"
#include "worker/generation/continuations.h"
#include "worker/inputs/window_tensors.h"

namespace halcyon::worker {

CalmTrainee::CalmTrainee(const jobs::JobSpec& spec, const LanguageModelData& data,
                         model::Autoencoder* autoencoder)
    : LanguageModelTrainee(spec, data),
      autoencoder_(autoencoder),
      model_(spec.model, spec.autoencoder.chunk_size, spec.autoencoder.latent_size,
             autoencoder->vocab_size()) {}

absl::StatusOr<Figures> CalmTrainee::ForwardBackward(const MicroBatch& batch,
                                                     const BatchTensors& tensors) {
  model::Posterior posterior = tensors.posterior;
  if (!posterior.mean.defined()) {
    ASSIGN_OR_RETURN(posterior,
                     EncodeWindows(*autoencoder_, tensors.tokens, spec().data.latent_format));
  }
  const Prediction window = ToPrediction({tensors.tokens, posterior}, model_.SeesLatents());
  const model::Placement placement = PlacementOf(tensors.first_visible, window.tokens.size(1));
  const at::Tensor hidden = model_.Backbone(window.tokens, window.latents, &placement);
  const model::NoiseRows noise{spec().seed, NoiseStream::kHeadNoise, batch.step, batch.slots};
  const model::LatentHead::Loss loss = model_.HeadLoss(hidden, window.next, noise);
  const at::Tensor share = PositionWeights(tensors.weights, batch.divisor, hidden.size(1));
  const at::Tensor total = (loss.loss * share).sum();
  total.backward();
  Figures figures = {{"loss", total.detach()}};
  for (const auto& [name, values] : loss.terms) figures[name] = (values * share).sum();
  return figures;
}

absl::StatusOr<nlohmann::json> CalmTrainee::Evaluate(cluster::Collectives& collectives,
                                                     bool final) {
  const std::string why_not = WhyNoScore(*data().heldout_windows);
  if (!why_not.empty()) return nlohmann::json{{"no_score", why_not}};
  ASSIGN_OR_RETURN(const LanguageModelScore score,
                   ScoreLanguageModel(model_, *autoencoder_, *data().heldout_windows,
                                      ScoringOptions(), collectives));
  nlohmann::json figures = FiguresOf(score);
  for (const auto& [name, value] : score.terms) figures["heldout_" + name] = value;
  if (final) return figures;
  // Every rank generates the same text, in step, so that the gathers match.
  CalmSampler sampler(&model_, autoencoder_);
  Generator generator(&sampler, data().packing->rule());
  ASSIGN_OR_RETURN(const auto continuations,
                   MakeContinuations(generator, *data().packing, *data().tokenizer, spec().eval,
                                     spec().seed, /*in_step=*/true));
  figures["samples"] = ToJson(continuations);
  return figures;
}

}  // namespace halcyon::worker
