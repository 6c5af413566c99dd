#include "model/calm_model.h"

#include <ATen/ATen.h>

#include "base/check.h"
#include "model/layers.h"
#include "model/to_device.h"

namespace halcyon::model {
namespace {

// Columns of the first projection: the chunk's token embeddings, then its latent.
int64_t InputWidth(const jobs::ModelSpec& spec, int64_t chunk_size, int64_t latent_size) {
  int64_t width = 0;
  if (spec.input != jobs::InputKind::kContinuous) width += chunk_size * spec.hidden_size;
  if (spec.input != jobs::InputKind::kDiscrete) width += latent_size;
  return width;
}

}  // namespace

struct CalmModel::Network {
  Network(const jobs::ModelSpec& spec, int64_t chunk_size, int64_t latent_size, int64_t vocab_size)
      : input_unit("input"),
        token_embedding(spec.input == jobs::InputKind::kContinuous
                            ? nullptr
                            : &input_unit.Add("input.embedding", {vocab_size, spec.hidden_size},
                                              InitKind::kEmbedding)),
        widen(input_unit, "input.widen", InputWidth(spec, chunk_size, latent_size),
              2 * spec.hidden_size, Linear::Bias::kYes),
        narrow(input_unit, "input.narrow", 2 * spec.hidden_size, spec.hidden_size,
               Linear::Bias::kYes),
        input_norm(input_unit, "input.norm", spec.hidden_size),
        backbone(spec),
        head_unit("head"),
        final_norm(head_unit, "final_norm", spec.hidden_size, spec.norm_epsilon),
        head(MakeLatentHead(head_unit, spec, latent_size)) {}

  Unit input_unit;
  Parameter* token_embedding;
  Linear widen, narrow;
  LayerNorm input_norm;
  model::Backbone backbone;
  Unit head_unit;
  RmsNorm final_norm;
  std::unique_ptr<LatentHead> head;
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
  std::vector<Unit*> units = network_->backbone.units();
  units.insert(units.begin(), &network_->input_unit);
  units.push_back(&network_->head_unit);
  return units;
}

at::Tensor CalmModel::Inputs(const at::Tensor& tokens, const at::Tensor& latents) {
  HALCYON_CHECK(tokens.dim() == 3 && tokens.size(2) == chunk_size_);
  HALCYON_CHECK(latents.defined() == SeesLatents());
  Network& network = *network_;
  const int64_t batch = tokens.size(0), chunks = tokens.size(1);
  network.input_unit.Enter();
  std::vector<at::Tensor> parts;
  if (network.token_embedding != nullptr) {
    const at::Tensor rows = EmbeddedRows(network.token_embedding->value, tokens.reshape({-1}));
    parts.push_back(rows.view({batch * chunks, chunk_size_ * spec_.hidden_size}));
  }
  if (latents.defined()) {
    const at::Tensor here = ToDevice(latents, network.widen.weight().device());
    parts.push_back(here.reshape({batch * chunks, latent_size_}));
  }
  const at::Tensor seen = parts.size() == 1 ? parts[0] : at::cat(parts, 1);
  const at::Tensor rows = network.input_norm(network.narrow(at::silu(network.widen(seen))));
  return network.input_unit.Exit(rows).view({batch, chunks, spec_.hidden_size});
}

at::Tensor CalmModel::Backbone(const at::Tensor& tokens, const at::Tensor& latents,
                               const Placement* placement, BackboneCache* cache) {
  const at::Tensor rows = Inputs(tokens, latents).view({-1, spec_.hidden_size});
  return network_->backbone(rows, tokens.size(0), placement, cache)
      .view({tokens.size(0), tokens.size(1), spec_.hidden_size});
}

LatentHead::Loss CalmModel::HeadLoss(const at::Tensor& hidden, const Posterior& next,
                                     const NoiseRows& noise) {
  HALCYON_CHECK(hidden.dim() == 3 && noise.rows.size() == static_cast<size_t>(hidden.size(0)));
  network_->head_unit.Enter();
  const Posterior here = {ToDevice(next.mean, hidden.device()),
                          ToDevice(next.log_std, hidden.device())};
  LatentHead::Loss loss = network_->head->TrainingLoss(FinalNorm(hidden), here, noise);
  loss.loss = network_->head_unit.Exit(loss.loss);
  return loss;
}

at::Tensor CalmModel::Sample(const at::Tensor& hidden, int64_t first, int64_t count,
                             const NoiseRows& noise) {
  HALCYON_CHECK(hidden.dim() == 3 && noise.rows.size() == static_cast<size_t>(hidden.size(0)));
  network_->head_unit.Enter();
  return network_->head_unit.Exit(network_->head->Sample(FinalNorm(hidden), first, count, noise));
}

at::Tensor CalmModel::FinalNorm(const at::Tensor& hidden) { return network_->final_norm(hidden); }

const LatentHead& CalmModel::head() const { return *network_->head; }

}  // namespace halcyon::model
