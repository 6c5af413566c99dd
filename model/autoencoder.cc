#include "model/autoencoder.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <deque>
#include <string>

#include "base/check.h"
#include "model/argmax.h"
#include "model/fused_layers.h"
#include "model/layers.h"
#include "model/precision.h"
#include "model/to_device.h"
#include "model/token_loss.h"

namespace halcyon::model {
namespace {

// Decoded at a time by DecodeTokens: bounds the activations.
constexpr int64_t kDecodeChunksMax = 1024;
// Likewise by KeepTokenStates.
constexpr int64_t kTokenStatesAtATime = 4096;

// Of the names of the encoder's parameters, but for the table, which the decoder has as well.
constexpr char kEncoderPrefix[] = "encoder.";

std::deque<GatedMlp> AddMlps(Unit& unit, const std::string& name, int64_t count,
                             const jobs::AutoencoderSpec& spec) {
  std::deque<GatedMlp> mlps;
  for (int64_t i = 0; i < count; ++i) {
    mlps.emplace_back(unit, name + "." + std::to_string(i), spec.hidden_size,
                      spec.intermediate_size, spec.norm_epsilon);
  }
  return mlps;
}

at::Tensor Apply(const std::deque<GatedMlp>& mlps, size_t first, size_t last, at::Tensor rows) {
  for (size_t i = first; i < last; ++i) rows = mlps[i](rows);
  return rows;
}

}  // namespace

// In both halves, the layers before the middle and those after it work at different widths of
// time: tokens then chunks in the encoder, chunks then tokens in the decoder.
struct Autoencoder::Network {
  Network(const jobs::AutoencoderSpec& spec, int64_t vocab_size)
      : unit("autoencoder"),
        embedding(unit.Add("embedding", {vocab_size, spec.hidden_size}, InitKind::kEmbedding)),
        mask_embedding(spec.token_dropout_rule == jobs::TokenDropoutRule::kMask
                           ? &unit.Add("mask_embedding", {spec.hidden_size}, InitKind::kZero)
                           : nullptr),
        encoder_layers(AddMlps(unit, "encoder.layers", spec.encoder_layers, spec)),
        squeeze(unit, "encoder.squeeze", spec.chunk_size * spec.hidden_size, spec.hidden_size,
                Linear::Bias::kYes),
        encoder_norm(unit, "encoder.norm", spec.hidden_size, spec.norm_epsilon),
        posterior(unit, "encoder.posterior", spec.hidden_size,
                  (spec.variational ? 2 : 1) * spec.latent_size, Linear::Bias::kYes),
        from_latent(unit, "decoder.from_latent", spec.latent_size, spec.hidden_size,
                    Linear::Bias::kYes),
        decoder_layers(AddMlps(unit, "decoder.layers", spec.decoder_layers, spec)),
        expand(unit, "decoder.expand", spec.hidden_size, spec.chunk_size * spec.hidden_size,
               Linear::Bias::kYes),
        decoder_norm(unit, "decoder.norm", spec.hidden_size, spec.norm_epsilon) {}

  // embeddings [tokens, hidden] -> the same: the layers that see one token each.
  at::Tensor EncodeTokens(const at::Tensor& embeddings) const {
    return Apply(encoder_layers, 0, encoder_layers.size() / 2, embeddings);
  }
  // states [chunks * K, hidden], of EncodeTokens -> [chunks, 2 * latent]: mean, then unclamped
  // log_std; a plain autoencoder has the mean only.
  at::Tensor EncodeChunks(const at::Tensor& states, int64_t chunk_size) const {
    at::Tensor rows = squeeze(states.view({-1, chunk_size * states.size(1)}));
    rows = Apply(encoder_layers, encoder_layers.size() / 2, encoder_layers.size(), rows);
    return posterior(encoder_norm(rows));
  }

  // The embedding that stands in for a dropped token's.
  at::Tensor Dropped() const {
    const at::Tensor row = mask_embedding != nullptr ? mask_embedding->value : embedding.value[0];
    return row.to(at::kFloat);
  }

  // latents [chunks, latent] -> [chunks, hidden].
  at::Tensor DecodeStates(const at::Tensor& latents) const {
    return Apply(decoder_layers, 0, decoder_layers.size() / 2, from_latent(latents));
  }

  // states [chunks, hidden] -> tokens first ... of each: [chunks * count, hidden], to be multiplied
  // with the table.
  at::Tensor DecodeRows(const at::Tensor& states, int64_t first, int64_t count) const {
    const int64_t width = states.size(1);
    const at::Tensor weight = expand.weight().narrow(0, first * width, count * width);
    const at::Tensor bias = expand.bias().narrow(0, first * width, count * width);
    const at::Tensor rows = LinearRows(states, weight, bias).view({-1, width});
    return decoder_norm(
        Apply(decoder_layers, decoder_layers.size() / 2, decoder_layers.size(), rows));
  }

  // latents [chunks, latent] -> logits [chunks * K, vocab].
  at::Tensor Decode(const at::Tensor& latents, int64_t chunk_size) const {
    return LinearRows(DecodeRows(DecodeStates(latents), 0, chunk_size), embedding.value, {});
  }

  Unit unit;
  Parameter& embedding;
  Parameter* mask_embedding;  // of dropped tokens
  std::deque<GatedMlp> encoder_layers;
  Linear squeeze;
  RmsNorm encoder_norm;
  Linear posterior;
  Linear from_latent;
  std::deque<GatedMlp> decoder_layers;
  Linear expand;
  RmsNorm decoder_norm;
};

namespace {

Posterior SplitPosterior(const at::Tensor& both, int64_t latent_size) {
  if (both.size(1) == latent_size) return {both, at::full_like(both, kLogStdMin)};
  return {both.narrow(1, 0, latent_size), both.narrow(1, latent_size, latent_size)};
}

Posterior Clamped(const Posterior& posterior) {
  return {posterior.mean, posterior.log_std.clamp(kLogStdMin, kLogStdMax)};
}

// [chunks]: KL(q || N(0, 1)) summed over the latent, each element at least `clamp` and without
// gradient where it is less.
at::Tensor ClampedKl(const Posterior& posterior, double clamp) {
  const at::Tensor variance = at::exp(2 * posterior.log_std);
  const at::Tensor kl = 0.5 * (posterior.mean.square() + variance - 1 - 2 * posterior.log_std);
  return kl.clamp_min(clamp).sum(1);
}

}  // namespace

Autoencoder::Autoencoder(const jobs::AutoencoderSpec& spec, int64_t vocab_size)
    : spec_(spec), vocab_size_(vocab_size), network_(std::make_unique<Network>(spec, vocab_size)) {}

Autoencoder::~Autoencoder() = default;

std::vector<Unit*> Autoencoder::units() { return {&network_->unit}; }

Posterior Autoencoder::Encode(const at::Tensor& tokens) { return Clamped(EncodeUnclamped(tokens)); }

Posterior Autoencoder::EncodeUnclamped(const at::Tensor& tokens) {
  HALCYON_CHECK(tokens.dim() == 2 && tokens.size(1) == spec_.chunk_size);
  Unit& unit = network_->unit;
  unit.Enter();
  const at::Tensor ids = tokens.reshape({-1});
  // In the type of the table: the next product takes them so.
  const at::Tensor states =
      token_states_.defined() ? at::embedding(token_states_, ToDevice(ids, token_states_.device()))
                              : EncodeTokens(ids);
  const at::Tensor both = unit.Exit(encoder().EncodeChunks(states, spec_.chunk_size));
  return SplitPosterior(both, spec_.latent_size);
}

at::Tensor Autoencoder::EncodeTokens(const at::Tensor& ids) {
  const at::Tensor rows = EmbeddedRows(network_->embedding.value, ids);
  if (rounded_ == nullptr) return network_->EncodeTokens(rows);
  // These rows, in place of a second table.
  return rounded_->EncodeTokens(rows.to(at::kBFloat16).to(at::kFloat));
}

void Autoencoder::EncodeIn(jobs::Precision precision) {
  HALCYON_CHECK(!token_states_.defined());
  rounded_ = nullptr;
  if (precision == jobs::Precision::kFloat32) return;
  auto rounded = std::make_unique<Network>(spec_, vocab_size_);
  auto to = rounded->unit.parameters().begin();
  for (const Parameter& from : network_->unit.parameters()) {
    if (from.name.starts_with(kEncoderPrefix))
      to->value = from.value.detach().to(TypeOf(precision));
    ++to;
  }
  rounded_ = std::move(rounded);
}

void Autoencoder::KeepTokenStates() {
  const c10::NoGradGuard no_grad;
  Unit& unit = network_->unit;
  unit.Enter();
  const at::Tensor& table = network_->embedding.value;
  at::Tensor states =
      at::empty(table.sizes(), table.options().dtype(encoder().squeeze.weight().scalar_type()));
  for (int64_t begin = 0; begin < vocab_size_; begin += kTokenStatesAtATime) {
    const int64_t count = std::min(kTokenStatesAtATime, vocab_size_ - begin);
    const at::Tensor ids = at::arange(begin, begin + count, table.options().dtype(at::kLong));
    states.narrow(0, begin, count).copy_(EncodeTokens(ids));
  }
  token_states_ = unit.Exit(states);
}

at::Tensor Autoencoder::Decode(const at::Tensor& latents) {
  HALCYON_CHECK(latents.dim() == 2 && latents.size(1) == spec_.latent_size);
  Unit& unit = network_->unit;
  unit.Enter();
  const at::Tensor here = ToDevice(latents, network_->embedding.value.device());
  const at::Tensor logits = unit.Exit(network_->Decode(here, spec_.chunk_size));
  return logits.view({latents.size(0), spec_.chunk_size, vocab_size_});
}

at::Tensor Autoencoder::DecodeStates(const at::Tensor& latents) {
  HALCYON_CHECK(latents.dim() == 2 && latents.size(1) == spec_.latent_size);
  const c10::NoGradGuard no_grad;
  Unit& unit = network_->unit;
  unit.Enter();
  return unit.Exit(network_->DecodeStates(ToDevice(latents, network_->embedding.value.device())));
}

at::Tensor Autoencoder::DecodeTokensOf(const at::Tensor& states, int64_t first, int64_t count) {
  HALCYON_CHECK(states.dim() == 2 && first >= 0 && first + count <= spec_.chunk_size);
  const c10::NoGradGuard no_grad;
  const int64_t chunks = states.size(0);
  at::Tensor tokens = at::empty({chunks, count}, states.options().dtype(at::kLong));
  Unit& unit = network_->unit;
  unit.Enter();
  for (int64_t begin = 0; begin < chunks; begin += kDecodeChunksMax) {
    const int64_t size = std::min(kDecodeChunksMax, chunks - begin);
    const at::Tensor rows = network_->DecodeRows(states.narrow(0, begin, size), first, count);
    const at::Tensor best = BlockedArgmax(rows, network_->embedding.value);
    tokens.narrow(0, begin, size).copy_(best.view({size, count}));
  }
  return unit.Exit(tokens);
}

at::Tensor Autoencoder::DecodeTokens(const at::Tensor& latents) {
  return DecodeTokensOf(DecodeStates(latents), 0, spec_.chunk_size);
}

Autoencoder::Loss Autoencoder::TrainingLoss(const at::Tensor& tokens, const Noise& noise,
                                            const at::Tensor& weights, double divisor) {
  HALCYON_CHECK(tokens.dim() == 2 && tokens.size(1) == spec_.chunk_size);
  HALCYON_CHECK(weights.dim() == 1 && weights.size(0) == tokens.size(0));
  Network& network = *network_;
  const int64_t chunks = tokens.size(0);
  network.unit.Enter();
  const at::Tensor labels = tokens.reshape({-1});
  at::Tensor embeddings = EmbeddedRows(network.embedding.value, labels);
  if (spec_.token_dropout > 0) {
    const at::Tensor dropped = noise.token_dropout.reshape({-1, 1}) < spec_.token_dropout;
    embeddings = at::where(dropped, network.Dropped(), embeddings);
  }
  const Posterior posterior = Clamped(SplitPosterior(
      network.EncodeChunks(network.EncodeTokens(embeddings), spec_.chunk_size), spec_.latent_size));
  at::Tensor latents = posterior.mean;
  if (spec_.variational) latents = latents + noise.posterior * at::exp(posterior.log_std);
  if (spec_.latent_dropout > 0) {
    const at::Tensor kept = noise.latent_dropout >= spec_.latent_dropout;
    latents = latents * (kept / (1 - spec_.latent_dropout));
  }
  // K times the mean over a chunk's tokens is their sum.
  const TokenLoss tokens_loss = WeightedTokenLoss(
      network.DecodeRows(network.DecodeStates(latents), 0, spec_.chunk_size),
      network.embedding.value, labels, (weights / divisor).repeat_interleave(spec_.chunk_size));
  const at::Tensor kl = spec_.variational ? ClampedKl(posterior, spec_.kl_clamp)
                                          : at::zeros({chunks}, weights.options());
  const at::Tensor total = tokens_loss.total + spec_.kl_weight * at::dot(weights, kl) / divisor;

  Loss loss;
  loss.total = network.unit.Exit(total);
  const c10::NoGradGuard no_grad;
  const at::Tensor cross_entropy = tokens_loss.losses.view({chunks, -1}).mean(1);
  const at::Tensor right = tokens_loss.correct.view({chunks, -1}).mean(1);
  loss.cross_entropy = at::dot(weights, cross_entropy) / divisor;
  loss.kl = at::dot(weights, kl) / divisor;
  loss.correct = at::dot(weights, right) / divisor;
  return loss;
}

}  // namespace halcyon::model
