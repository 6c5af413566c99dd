#include "worker/training/baseline_trainee.h"

#include <ATen/ATen.h>

namespace halcyon::worker {

BaselineTrainee::BaselineTrainee(const jobs::JobSpec& spec, const LanguageModelData& data)
    : LanguageModelTrainee(spec, data), model_(spec.model, data.tokenizer->vocab_size()) {}

absl::StatusOr<Figures> BaselineTrainee::ForwardBackward(const MicroBatch& batch,
                                                         const BatchTensors& tensors) {
  const at::Tensor tokens = tensors.tokens.flatten(1);
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
  const std::string why_not = WhyNoScore(*data().heldout_windows);
  if (!why_not.empty()) return nlohmann::json{{"no_score", why_not}};
  ASSIGN_OR_RETURN(const LanguageModelScore score,
                   ScoreBaseline(model_, *data().heldout_windows, ScoringOptions(), collectives));
  return FiguresOf(score);
}

}  // namespace halcyon::worker
