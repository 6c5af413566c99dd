#include "model/calm_model.h"

#include <ATen/ATen.h>

#include <deque>
#include <string>

#include "base/check.h"
#include "model/energy_head.h"
#include "model/layers.h"
#include "model/transformer.h"

namespace halcyon::model {

struct CalmModel::Network {
  Network(const jobs::ModelSpec& spec, int64_t chunk_size, int64_t latent_size, int64_t vocab_size)
      : input_unit("input"),
        token_embedding(input_unit.Add("input.embedding", {vocab_size, spec.hidden_size},
                                       InitKind::kEmbedding)),
        widen(input_unit, "input.widen", chunk_size * spec.hidden_size, 2 * spec.hidden_size,
              Linear::Bias::kYes),
        narrow(input_unit, "input.narrow", 2 * spec.hidden_size, spec.hidden_size,
               Linear::Bias::kYes),
        input_norm(input_unit, "input.norm", spec.hidden_size),
        head_unit("head"),
        head(head_unit, spec, latent_size) {
    for (int64_t i = 0; i < spec.layers; ++i) {
      const std::string name = "block." + std::to_string(i);
      Unit& unit = block_units.emplace_back(name);
      blocks.emplace_back(unit, name, spec);
    }
  }

  Unit input_unit;
  Parameter& token_embedding;
  Linear widen, narrow;
  LayerNorm input_norm;
  std::deque<Unit> block_units;
  std::deque<TransformerBlock> blocks;
  Unit head_unit;
  EnergyHead head;
};

CalmModel::CalmModel(const jobs::ModelSpec& spec, int64_t chunk_size, int64_t latent_size,
                     int64_t vocab_size)
    : spec_(spec),
      chunk_size_(chunk_size),
      latent_size_(latent_size),
      vocab_size_(vocab_size),
      network_(std::make_unique<Network>(spec, chunk_size, latent_size, vocab_size)) {}

CalmModel::~CalmModel() = default;

std::vector<Unit*> CalmModel::units() {
  std::vector<Unit*> units = {&network_->input_unit};
  for (Unit& unit : network_->block_units) units.push_back(&unit);
  units.push_back(&network_->head_unit);
  return units;
}

at::Tensor CalmModel::Backbone(const at::Tensor& tokens) {
  HALCYON_CHECK(tokens.dim() == 3 && tokens.size(2) == chunk_size_);
  Network& network = *network_;
  const int64_t batch = tokens.size(0), chunks = tokens.size(1);

  network.input_unit.Enter();
  at::Tensor rows = at::embedding(network.token_embedding.value, tokens.reshape({-1}));
  rows = rows.view({batch * chunks, chunk_size_ * spec_.hidden_size});
  rows = network.input_norm(network.narrow(at::silu(network.widen(rows))));
  rows = network.input_unit.Exit(rows);

  const Rotation rotation(chunks, spec_.hidden_size / spec_.attention_heads, spec_.rope_theta,
                          rows.scalar_type());
  for (size_t i = 0; i < network.blocks.size(); ++i) {
    network.block_units[i].Enter();
    rows = network.block_units[i].Exit(network.blocks[i](rows, batch, rotation));
  }
  return rows.view({batch, chunks, spec_.hidden_size});
}

at::Tensor CalmModel::Sample(const at::Tensor& hidden, const at::Tensor& noise) {
  HALCYON_CHECK(hidden.dim() == 3 && noise.dim() == 4 && noise.size(1) == hidden.size(0) &&
                noise.size(2) == hidden.size(1) && noise.size(3) == spec_.noise_size);
  network_->head_unit.Enter();
  const at::Tensor latents = network_->head(hidden.reshape({-1, spec_.hidden_size}),
                                            noise.reshape({-1, spec_.noise_size}));
  return network_->head_unit.Exit(latents).view(
      {noise.size(0), hidden.size(0), hidden.size(1), latent_size_});
}

}  // namespace halcyon::model
