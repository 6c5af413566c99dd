#include "model/baseline_model.h"

#include <ATen/ATen.h>

#include "base/check.h"
#include "model/fused_layers.h"
#include "model/layers.h"

namespace halcyon::model {

struct BaselineModel::Network {
  Network(const jobs::ModelSpec& spec, int64_t vocab_size)
      : input_unit("input"),
        embedding(input_unit.Add("input.embedding", {vocab_size, spec.hidden_size},
                                 InitKind::kEmbedding)),
        backbone(spec),
        head_unit("head"),
        final_norm(head_unit, "final_norm", spec.hidden_size, spec.norm_epsilon) {
    if (spec.tie_embeddings) return;
    output = &head_unit.Add("output.weight", {vocab_size, spec.hidden_size}, InitKind::kWeight);
  }

  const at::Tensor& Table() const;

  Unit input_unit;
  Parameter& embedding;
  model::Backbone backbone;
  Unit head_unit;
  RmsNorm final_norm;
  Parameter* output = nullptr;
};

BaselineModel::BaselineModel(const jobs::ModelSpec& spec, int64_t vocab_size)
    : spec_(spec), vocab_size_(vocab_size), network_(std::make_unique<Network>(spec, vocab_size)) {}

BaselineModel::~BaselineModel() = default;

std::vector<Unit*> BaselineModel::units() {
  std::vector<Unit*> units = network_->backbone.units();
  units.insert(units.begin(), &network_->input_unit);
  units.push_back(&network_->head_unit);
  return units;
}

at::Tensor BaselineModel::Hidden(const at::Tensor& tokens, const Placement* placement,
                                 BackboneCache* cache) {
  HALCYON_CHECK(tokens.dim() == 2);
  Network& network = *network_;
  const bool tied = network.output == nullptr;
  network.input_unit.Enter();
  at::Tensor rows = EmbeddedRows(network.embedding.value, tokens.reshape({-1}));
  // A tied table is used at both ends, so its unit stays whole from one to the other.
  if (!tied) rows = network.input_unit.Exit(rows);
  rows = network.backbone(rows, tokens.size(0), placement, cache);
  network.head_unit.Enter();
  const at::Tensor normed = network.final_norm(rows);
  return tied ? network.head_unit.Exit(normed) : normed;
}

at::Tensor BaselineModel::Leave(const at::Tensor& last) {
  return network_->output == nullptr ? network_->input_unit.Exit(last)
                                     : network_->head_unit.Exit(last);
}

const at::Tensor& BaselineModel::Network::Table() const {
  return output == nullptr ? embedding.value : output->value;
}

at::Tensor BaselineModel::Logits(const at::Tensor& tokens, const Placement* placement,
                                 BackboneCache* cache) {
  const at::Tensor normed = Hidden(tokens, placement, cache);
  return Leave(LinearRows(normed, network_->Table(), {}))
      .view({tokens.size(0), tokens.size(1), vocab_size_});
}

TokenLoss BaselineModel::NextTokenLoss(const at::Tensor& tokens, const at::Tensor& weights,
                                       const Placement* placement) {
  HALCYON_CHECK(tokens.dim() == 2 && tokens.size(1) >= 2);
  const int64_t steps = tokens.size(1) - 1;
  const at::Tensor normed = Hidden(tokens.narrow(1, 0, steps), placement, nullptr);
  TokenLoss loss = WeightedTokenLoss(normed, network_->Table(),
                                     tokens.narrow(1, 1, steps).reshape({-1}), weights);
  loss.total = Leave(loss.total);
  return loss;
}

}  // namespace halcyon::model
