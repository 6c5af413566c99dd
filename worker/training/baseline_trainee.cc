#include "worker/training/baseline_trainee.h"

#include <ATen/ATen.h>

#include "worker/inputs/window_tensors.h"

namespace halcyon::worker {

BaselineTrainee::BaselineTrainee(const jobs::JobSpec& spec, const LanguageModelData& data)
    : LanguageModelTrainee(spec, data), model_(spec.model, data.tokenizer->vocab_size()) {}

absl::StatusOr<Figures> BaselineTrainee::ForwardBackward(const MicroBatch& batch,
                                                         const BatchTensors& tensors) {
  const at::Tensor tokens = tensors.tokens.flatten(1);
  const at::Tensor weights = PositionWeights(tensors.weights, batch.divisor, tokens.size(1) - 1);
  const model::Placement placement =
      PlacementOf(tensors.first_visible, tokens.size(1) - 1, tensors.tokens.size(2));
  const at::Tensor total = model_.NextTokenLoss(tokens, weights, &placement).total;
  total.backward();
  return Figures{{"loss", total.detach()}};
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
