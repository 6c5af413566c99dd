#include "worker/training/baseline_trainee.h"

#include <ATen/ATen.h>

#include "worker/scoring/language_model_score.h"
#include "worker/training/window_tensors.h"

namespace halcyon::worker {

BaselineTrainee::BaselineTrainee(const jobs::JobSpec& spec, const BaselineData& data)
    : spec_(spec), data_(data), model_(spec.model, data.tokenizer->vocab_size()) {}

absl::StatusOr<Figures> BaselineTrainee::ForwardBackward(const MicroBatch& batch) {
  ASSIGN_OR_RETURN(const WindowTensors data,
                   LoadWindows(*data_.windows, pipeline::Split::kTrain, batch.items,
                               /*latent_size=*/0));
  const at::Tensor tokens = data.tokens.flatten(1);
  const int64_t positions = tokens.size(1) - 1;
  const at::Tensor logits = model_.Logits(tokens.narrow(1, 0, positions));
  const at::Tensor losses = at::cross_entropy_loss(
      logits.flatten(0, 1), tokens.narrow(1, 1, positions).flatten(), {}, at::Reduction::None);
  const at::Tensor total = (losses * PositionWeights(batch, positions)).sum();
  total.backward();
  return Figures{{"loss", total.item<double>()}};
}

absl::StatusOr<nlohmann::json> BaselineTrainee::Evaluate(cluster::Collectives& collectives,
                                                         bool /*final*/) {
  const LanguageModelOptions options{.windows = spec_.eval.windows,
                                     .samples = spec_.eval.samples,
                                     .bootstrap = spec_.eval.bootstrap,
                                     .seed = spec_.seed};
  ASSIGN_OR_RETURN(const LanguageModelScore score,
                   ScoreBaseline(model_, *data_.heldout_windows, options, collectives));
  return nlohmann::json{{"heldout_loss", score.loss}, {"brier_lm", score.brier.brier_lm},
                        {"low", score.brier.low},     {"high", score.brier.high},
                        {"windows", score.windows},   {"token_context", score.token_context}};
}

std::map<std::string, std::string> BaselineTrainee::Metadata() const {
  return {{"format", "halcyon-1"},
          {"kind", "softmax"},
          {"vocab_size", std::to_string(model_.vocab_size())},
          {"chunk_size", "1"},
          {"end_of_text", std::to_string(data_.packing->rule().end_of_text)},
          {"padding", std::to_string(data_.packing->rule().padding)}};
}

}  // namespace halcyon::worker
