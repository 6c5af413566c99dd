#include "worker/training/language_model_trainee.h"

#include <ATen/ATen.h>

#include "worker/inputs/network_file.h"
#include "worker/inputs/window_tensors.h"

namespace halcyon::worker {

at::Tensor PositionWeights(const at::Tensor& weights, double divisor, int64_t positions) {
  return (weights / (divisor * static_cast<double>(positions))).repeat_interleave(positions);
}

absl::StatusOr<BatchTensors> LanguageModelTrainee::Load(const MicroBatch& batch) {
  ASSIGN_OR_RETURN(
      const WindowTensors windows,
      LoadWindows(*data_.windows, pipeline::Split::kTrain, batch.items, spec_.model.document_mask));
  return BatchTensors{.tokens = windows.tokens,
                      .posterior = windows.posterior,
                      .first_visible = windows.first_visible};
}

LanguageModelOptions LanguageModelTrainee::ScoringOptions() const {
  return {.windows = spec_.eval.windows,
          .samples = spec_.eval.samples,
          .bootstrap = spec_.eval.bootstrap,
          .seed = spec_.seed,
          .latent_format = spec_.data.latent_format};
}

nlohmann::json LanguageModelTrainee::FiguresOf(const LanguageModelScore& score) {
  return {{"heldout_loss", score.loss}, {"brier_lm", score.brier.brier_lm},
          {"low", score.brier.low},     {"high", score.brier.high},
          {"windows", score.windows},   {"token_context", score.token_context}};
}

std::map<std::string, std::string> LanguageModelTrainee::Metadata() const {
  std::map<std::string, std::string> metadata = {
      {"format", "halcyon-1"},
      {"kind", NetworkKind(spec_.model.head)},
      {"vocab_size", std::to_string(data_.tokenizer->vocab_size())},
      {"end_of_text", std::to_string(data_.packing->rule().end_of_text)},
      {"padding", std::to_string(data_.packing->rule().padding)}};
  const bool is_baseline = spec_.model.head == jobs::HeadKind::kSoftmax;
  metadata["chunk_size"] = is_baseline ? "1" : std::to_string(spec_.autoencoder.chunk_size);
  if (!is_baseline) metadata["latent_size"] = std::to_string(spec_.autoencoder.latent_size);
  return metadata;
}

}  // namespace halcyon::worker
