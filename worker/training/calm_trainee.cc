#include "worker/training/calm_trainee.h"

#include <ATen/ATen.h>

#include "model/noise.h"
#include "worker/generation/calm_sampler.h"
#include "worker/generation/continuations.h"
#include "worker/scoring/language_model_score.h"
#include "worker/training/window_tensors.h"

namespace halcyon::worker {
namespace {

std::string_view KindOf(jobs::HeadKind head) {
  switch (head) {
    case jobs::HeadKind::kEnergy:
      return "calm-energy";
    case jobs::HeadKind::kDiffusion:
      return "calm-diffusion";
    case jobs::HeadKind::kFlow:
      return "calm-flow";
    case jobs::HeadKind::kSoftmax:
      return "softmax";
  }
  return "";
}

}  // namespace

CalmTrainee::CalmTrainee(const jobs::JobSpec& spec, const CalmData& data)
    : spec_(spec),
      data_(data),
      model_(spec.model, spec.autoencoder.chunk_size, spec.autoencoder.latent_size,
             data.autoencoder->vocab_size()) {}

absl::StatusOr<Figures> CalmTrainee::ForwardBackward(const MicroBatch& batch) {
  ASSIGN_OR_RETURN(const WindowTensors data, LoadWindows(*data_.windows, pipeline::Split::kTrain,
                                                         batch.items, model_.latent_size()));
  const Prediction window = ToPrediction(data, model_.SeesLatents());
  const at::Tensor hidden = model_.Backbone(window.tokens, window.latents);
  const model::NoiseRows noise{spec_.seed, NoiseStream::kHeadNoise, batch.step, batch.slots};
  const model::LatentHead::Loss loss = model_.HeadLoss(hidden, window.next, noise);
  const at::Tensor share = PositionWeights(batch, hidden.size(1));
  const at::Tensor total = (loss.loss * share).sum();
  total.backward();
  Figures figures = {{"loss", total.item<double>()}};
  for (const auto& [name, values] : loss.terms) {
    figures[name] = (values * share).sum().item<double>();
  }
  return figures;
}

absl::StatusOr<nlohmann::json> CalmTrainee::Evaluate(cluster::Collectives& collectives,
                                                     bool final) {
  const jobs::EvalSpec& eval = spec_.eval;
  const LanguageModelOptions options{.windows = eval.windows,
                                     .samples = eval.samples,
                                     .bootstrap = eval.bootstrap,
                                     .seed = spec_.seed};
  ASSIGN_OR_RETURN(
      const LanguageModelScore score,
      ScoreLanguageModel(model_, *data_.autoencoder, *data_.heldout_windows, options, collectives));
  nlohmann::json figures = {{"heldout_loss", score.loss}, {"brier_lm", score.brier.brier_lm},
                            {"low", score.brier.low},     {"high", score.brier.high},
                            {"windows", score.windows},   {"token_context", score.token_context}};
  for (const auto& [name, value] : score.terms) figures["heldout_" + name] = value;
  if (final) return figures;
  // Every rank generates the same text, in step, so that the gathers match.
  CalmSampler sampler(&model_, data_.autoencoder);
  Generator generator(&sampler, data_.packing->rule());
  ASSIGN_OR_RETURN(const auto continuations,
                   MakeContinuations(generator, *data_.packing, *data_.tokenizer, eval, spec_.seed,
                                     /*in_step=*/true));
  figures["samples"] = ToJson(continuations);
  return figures;
}

std::map<std::string, std::string> CalmTrainee::Metadata() const {
  return {{"format", "halcyon-1"},
          {"kind", std::string(KindOf(spec_.model.head))},
          {"vocab_size", std::to_string(data_.autoencoder->vocab_size())},
          {"chunk_size", std::to_string(spec_.autoencoder.chunk_size)},
          {"latent_size", std::to_string(spec_.autoencoder.latent_size)},
          {"end_of_text", std::to_string(data_.packing->rule().end_of_text)},
          {"padding", std::to_string(data_.packing->rule().padding)}};
}

}  // namespace halcyon::worker
