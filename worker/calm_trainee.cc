#include "worker/calm_trainee.h"

#include <ATen/ATen.h>

#include "model/energy_loss.h"
#include "model/noise.h"
#include "worker/continuations.h"
#include "worker/evaluation.h"

namespace halcyon::worker {

CalmTrainee::CalmTrainee(const jobs::JobSpec& spec, const CalmData& data)
    : spec_(spec),
      data_(data),
      model_(spec.model, spec.autoencoder.chunk_size, spec.autoencoder.latent_size,
             data.autoencoder->vocab_size()) {}

absl::StatusOr<Figures> CalmTrainee::ForwardBackward(const MicroBatch& batch) {
  const jobs::ModelSpec& spec = spec_.model;
  const int64_t latent = model_.latent_size();
  const int64_t rows = static_cast<int64_t>(batch.items.size());
  ASSIGN_OR_RETURN(const WindowTensors data,
                   LoadWindows(*data_.windows, pipeline::Split::kTrain, batch.items,
                               spec_.autoencoder.chunk_size, latent));
  const int64_t positions = data.tokens.size(1) - 1;  // the first chunk is never predicted
  const at::Tensor hidden = model_.Backbone(data.tokens.narrow(1, 0, positions));
  const at::Tensor noise =
      model::UniformNoise({spec_.seed, NoiseStream::kHeadNoise, batch.step}, batch.slots,
                          {spec.samples, positions, spec.noise_size})
          .transpose(0, 1) -
      0.5;  // [samples, rows, positions, noise]
  const at::Tensor samples =
      model_.Sample(hidden, noise).reshape({spec.samples, rows * positions, latent}).contiguous();
  const auto next = [&](const at::Tensor& of_chunks) {
    return of_chunks.view({rows, positions + 1, latent})
        .narrow(1, 1, positions)
        .reshape({rows * positions, latent});
  };
  const at::Tensor mean = next(data.posterior.mean);
  const at::Tensor log_std = next(data.posterior.log_std);
  model::EnergyTerms terms;
  if (spec.target == jobs::EnergyTarget::kExact) {
    terms = model::ExactEnergyLoss(samples, mean, log_std, spec.alpha);
  } else {
    const at::Tensor normal =
        model::NormalNoise({spec_.seed, NoiseStream::kTargetSamples, batch.step}, batch.slots,
                           {spec.target_samples, positions, latent})
            .transpose(0, 1)
            .reshape({spec.target_samples, rows * positions, latent});
    terms = model::SampledEnergyLoss(samples, mean, log_std, normal, spec.alpha);
  }
  const at::Tensor weights = at::empty({rows}, at::kFloat);
  std::copy(batch.weights.begin(), batch.weights.end(), weights.data_ptr<float>());
  const at::Tensor share =
      (weights / (batch.divisor * static_cast<double>(positions))).repeat_interleave(positions);
  const at::Tensor loss = (terms.energy * share).sum();
  loss.backward();
  return Figures{{"loss", loss.item<double>()},
                 {"target", (terms.target * share).sum().item<double>()},
                 {"spread", (terms.spread * share).sum().item<double>()}};
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
  nlohmann::json figures = {
      {"heldout_loss", score.energy},   {"heldout_target", score.target},
      {"heldout_spread", score.spread}, {"brier_lm", score.brier.brier_lm},
      {"low", score.brier.low},         {"high", score.brier.high},
      {"windows", score.windows},       {"token_context", score.token_context}};
  if (final) return figures;
  // Every rank generates the same text, with a fixed number of chunks, so that the gathers match.
  Generator generator(&model_, data_.autoencoder, data_.packing->rule());
  ASSIGN_OR_RETURN(const auto continuations,
                   MakeContinuations(generator, *data_.packing, *data_.tokenizer, eval, spec_.seed,
                                     /*stop_at_end=*/false));
  figures["samples"] = ToJson(continuations);
  return figures;
}

std::map<std::string, std::string> CalmTrainee::Metadata() const {
  return {{"format", "halcyon-1"},
          {"kind", "calm-energy"},
          {"vocab_size", std::to_string(data_.autoencoder->vocab_size())},
          {"chunk_size", std::to_string(spec_.autoencoder.chunk_size)},
          {"latent_size", std::to_string(spec_.autoencoder.latent_size)},
          {"end_of_text", std::to_string(data_.packing->rule().end_of_text)},
          {"padding", std::to_string(data_.packing->rule().padding)}};
}

}  // namespace halcyon::worker
