#include "model/reference/reference_keys.h"

#include <span>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "model/autoencoder.h"
#include "model/baseline_model.h"
#include "model/calm_model.h"

namespace halcyon::model {
namespace {

// A '#' stands for the number of a layer or block, the same on both sides.
using Pair = std::pair<std::string_view, std::string_view>;

constexpr Pair kAutoencoder[] = {
    {"embedding", "encoder.embed_tokens.weight"},
    {"encoder.layers.#.norm.weight", "encoder.encoder_layers.#.layernorm.weight"},
    {"encoder.layers.#.gate.weight", "encoder.encoder_layers.#.mlp.gate_proj.weight"},
    {"encoder.layers.#.up.weight", "encoder.encoder_layers.#.mlp.up_proj.weight"},
    {"encoder.layers.#.down.weight", "encoder.encoder_layers.#.mlp.down_proj.weight"},
    {"encoder.squeeze.weight", "encoder.squeeze_layer.weight"},
    {"encoder.squeeze.bias", "encoder.squeeze_layer.bias"},
    {"encoder.norm.weight", "encoder.norm.weight"},
    {"encoder.posterior.weight", "encoder.hidden_to_latent.weight"},
    {"encoder.posterior.bias", "encoder.hidden_to_latent.bias"},
    {"decoder.from_latent.weight", "decoder.latent_to_hidden.weight"},
    {"decoder.from_latent.bias", "decoder.latent_to_hidden.bias"},
    {"decoder.layers.#.norm.weight", "decoder.decoder_layers.#.layernorm.weight"},
    {"decoder.layers.#.gate.weight", "decoder.decoder_layers.#.mlp.gate_proj.weight"},
    {"decoder.layers.#.up.weight", "decoder.decoder_layers.#.mlp.up_proj.weight"},
    {"decoder.layers.#.down.weight", "decoder.decoder_layers.#.mlp.down_proj.weight"},
    {"decoder.expand.weight", "decoder.expand_layer.weight"},
    {"decoder.expand.bias", "decoder.expand_layer.bias"},
    {"decoder.norm.weight", "decoder.norm.weight"}};

// After "transformer." or "model.".
constexpr Pair kBackbone[] = {
    {"input.embedding", "embed_tokens.weight"},
    {"block.#.attention.norm.weight", "layers.#.input_layernorm.weight"},
    {"block.#.attention.query.weight", "layers.#.self_attn.q_proj.weight"},
    {"block.#.attention.key.weight", "layers.#.self_attn.k_proj.weight"},
    {"block.#.attention.value.weight", "layers.#.self_attn.v_proj.weight"},
    {"block.#.attention.output.weight", "layers.#.self_attn.o_proj.weight"},
    {"block.#.mlp.norm.weight", "layers.#.post_attention_layernorm.weight"},
    {"block.#.mlp.gate.weight", "layers.#.mlp.gate_proj.weight"},
    {"block.#.mlp.up.weight", "layers.#.mlp.up_proj.weight"},
    {"block.#.mlp.down.weight", "layers.#.mlp.down_proj.weight"},
    {"final_norm.weight", "norm.weight"}};

constexpr Pair kInput[] = {
    {"input.widen.weight", "embed_proj.0.weight"},  {"input.widen.bias", "embed_proj.0.bias"},
    {"input.narrow.weight", "embed_proj.2.weight"}, {"input.narrow.bias", "embed_proj.2.bias"},
    {"input.norm.weight", "embed_proj.3.weight"},   {"input.norm.bias", "embed_proj.3.bias"}};

// The heads' tables leave out ".weight" and ".bias", which every entry has.
constexpr Pair kEnergyHead[] = {{"head.noise", "noise_embd"},
                                {"head.noise_norm", "norm_noise"},
                                {"head.condition", "hidden_embd"},
                                {"head.condition_norm", "norm_hidden"},
                                {"head.blocks.#.norm", "mlp_blocks.#.in_ln"},
                                {"head.blocks.#.mix", "mlp_blocks.#.linears.0"},
                                {"head.blocks.#.middle", "mlp_blocks.#.linears.2"},
                                {"head.blocks.#.gate_value", "mlp_blocks.#.linears.4"},
                                {"head.blocks.#.output", "mlp_blocks.#.down_proj"},
                                {"head.output_norm", "final_layer.in_ln"},
                                {"head.output_hidden", "final_layer.linears.0"},
                                {"head.output_latent", "final_layer.linears.2"}};

constexpr Pair kDenoisingHead[] = {{"head.time.0", "time_embed.mlp.0"},
                                   {"head.time.1", "time_embed.mlp.2"},
                                   {"head.condition", "cond_embed"},
                                   {"head.input", "input_proj"},
                                   {"head.blocks.#.norm", "res_blocks.#.in_ln"},
                                   {"head.blocks.#.expand", "res_blocks.#.mlp.0"},
                                   {"head.blocks.#.contract", "res_blocks.#.mlp.2"},
                                   {"head.blocks.#.modulation", "res_blocks.#.adaLN_modulation.1"},
                                   {"head.output_modulation", "final_layer.adaLN_modulation.1"},
                                   {"head.output", "final_layer.linear"}};

// "a.12.b" -> "a.#.b" and "12"; a name has one number at most in what the tables call '#'.
struct Numbered {
  std::string pattern, number;
};

Numbered SplitNumber(const std::string& name) {
  for (const std::string_view before : {"layers.", "block.", "blocks."}) {
    const size_t at = name.find(before);
    if (at == name.npos || (at > 0 && name[at - 1] != '.')) continue;
    const size_t first = at + before.size();
    const size_t end = name.find('.', first);
    if (end == name.npos) continue;
    return {name.substr(0, first) + "#" + name.substr(end), name.substr(first, end - first)};
  }
  return {name, ""};
}

// "" when the table does not have it.
std::string Look(std::span<const Pair> table, const Numbered& name) {
  for (const auto& [here, there] : table) {
    if (here != name.pattern) continue;
    std::string found(there);
    if (const size_t at = found.find('#'); at != found.npos) found.replace(at, 1, name.number);
    return found;
  }
  return "";
}

std::string LookWithoutSuffix(std::span<const Pair> table, Numbered name) {
  const size_t dot = name.pattern.rfind('.');
  if (dot == name.pattern.npos) return "";
  const std::string suffix = name.pattern.substr(dot);
  name.pattern.resize(dot);
  const std::string found = Look(table, name);
  return found.empty() ? "" : found + suffix;
}

std::vector<std::string> NamesOf(ReferenceKind kind, const std::string& parameter, bool tied) {
  const Numbered name = SplitNumber(parameter);
  if (kind == ReferenceKind::kAutoencoder) {
    if (parameter == "embedding") return {"encoder.embed_tokens.weight", "decoder.lm_head_weight"};
    return {Look(kAutoencoder, name)};
  }
  const std::string backbone = Look(kBackbone, name);
  if (kind == ReferenceKind::kBaseline) {
    if (parameter == "output.weight") return {"lm_head.weight"};
    if (parameter == "input.embedding" && tied) return {"model." + backbone, "lm_head.weight"};
    return {backbone.empty() ? "" : "model." + backbone};
  }
  if (!backbone.empty()) return {"transformer." + backbone};
  if (const std::string input = Look(kInput, name); !input.empty()) return {input};
  if (kind == ReferenceKind::kEnergy) {
    const std::string head = LookWithoutSuffix(kEnergyHead, name);
    if (head.empty()) return {""};
    return {"mlp_generator." + head, "generative_head." + head};
  }
  const std::string head = LookWithoutSuffix(kDenoisingHead, name);
  return {head.empty() ? "" : "generative_head.net." + head};
}

std::vector<ReferenceTensor> TensorsOf(ReferenceKind kind, const std::vector<Unit*>& units,
                                       const std::string& prefix, bool tied) {
  std::vector<ReferenceTensor> tensors;
  for (Unit* unit : units) {
    for (const Parameter& parameter : unit->parameters()) {
      ReferenceTensor tensor{parameter.name, parameter.shape, {}};
      for (const std::string& name : NamesOf(kind, parameter.name, tied)) {
        HALCYON_CHECK(!name.empty());
        tensor.names.push_back(prefix + name);
      }
      tensors.push_back(std::move(tensor));
    }
  }
  return tensors;
}

}  // namespace

std::vector<ReferenceTensor> ReferenceTensors(const ReferenceAutoencoder& autoencoder,
                                              const std::string& prefix) {
  Autoencoder network(autoencoder.spec, autoencoder.vocab_size);
  return TensorsOf(ReferenceKind::kAutoencoder, network.units(), prefix, /*tied=*/false);
}

std::vector<ReferenceTensor> ReferenceTensors(const ReferenceModel& model) {
  const ReferenceKind kind = KindOf(model.spec.head);
  if (kind == ReferenceKind::kBaseline) {
    BaselineModel network(model.spec, model.vocab_size);
    return TensorsOf(kind, network.units(), "", model.spec.tie_embeddings);
  }
  CalmModel network(model.spec, model.chunk_size, model.latent_size, model.vocab_size);
  return TensorsOf(kind, network.units(), "", /*tied=*/false);
}

bool IsDerivedReferenceTensor(const std::string& name) {
  return name.ends_with("rotary_emb.inv_freq");
}

}  // namespace halcyon::model
