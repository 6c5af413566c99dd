#include "model/reference/reference_config.h"

#include <algorithm>

#include "base/check.h"
#include "jobs/presets.h"
#include "model/reference/config_reader.h"

namespace halcyon::model {
namespace {

using nlohmann::json;

struct Architecture {
  ReferenceKind kind;
  std::string_view name;          // in config.json
  std::string_view halcyon_name;  // in an artifact's metadata
};
constexpr Architecture kArchitectures[] = {
    {ReferenceKind::kAutoencoder, "Autoencoder", "autoencoder"},
    {ReferenceKind::kEnergy, "EnergyTransformer", "calm-energy"},
    {ReferenceKind::kFlow, "FlowTransformer", "calm-flow"},
    {ReferenceKind::kDiffusion, "DiffusionTransformer", "calm-diffusion"},
    {ReferenceKind::kBaseline, "LlamaForCausalLM", "softmax"}};

const Architecture& ArchitectureOf(ReferenceKind kind) {
  return *std::find_if(std::begin(kArchitectures), std::end(kArchitectures),
                       [&](const Architecture& known) { return known.kind == kind; });
}

constexpr jobs::HeadKind kHeads[] = {
    // In the order of ReferenceKind; an autoencoder has none.
    jobs::HeadKind::kEnergy, jobs::HeadKind::kEnergy, jobs::HeadKind::kFlow,
    jobs::HeadKind::kDiffusion, jobs::HeadKind::kSoftmax};

// Of what a config.json may leave out, the values of the published code.
jobs::ModelSpec PublishedModel() {
  jobs::ModelSpec spec;
  spec.window_chunks = 2048;
  spec.init = jobs::InitRule::kNormal;
  spec.init_std = jobs::kPaperInitStd;
  return spec;
}

// rope_theta stands at the top level or, from newer tools, in rope_parameters. A rotary embedding
// that is scaled in some way is another function.
double RopeTheta(ConfigReader& reader) {
  double theta = reader.Number("rope_theta", jobs::ModelSpec().rope_theta);
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    const json* group = reader.Find(name);
    if (group == nullptr) continue;
    ConfigReader inner(*group);
    theta = inner.Number("rope_theta", theta);
    inner.Expect("rope_type", "default");
    inner.Expect("type", "default");
    inner.Expect("partial_rotary_factor", 1.0);
    if (!inner.status().ok()) reader.Add(name + (" = " + group->dump()) + " is not supported");
  }
  return theta;
}

// The reference builds its layers in two halves of n / 2, so the last of an odd number is in the
// file and is never used.
int64_t EvenLayers(ConfigReader& reader, const char* name) {
  const int64_t layers = reader.Integer(name, 2);
  if (layers % 2 != 0) {
    reader.Add(std::string(name) + " = " + std::to_string(layers) +
               " is odd, and the reference leaves the last layer unused");
  }
  return layers;
}

bool HasPrefix(const TensorShapes& tensors, const std::string& prefix) {
  const auto found = tensors.lower_bound(prefix);
  return found != tensors.end() && found->first.starts_with(prefix);
}

int64_t Extent(const TensorShapes& tensors, const std::string& name, size_t dimension) {
  const auto found = tensors.find(name);
  return found == tensors.end() || found->second.size() <= dimension ? 0 : found->second[dimension];
}

}  // namespace

std::string_view NameOf(ReferenceKind kind) { return ArchitectureOf(kind).halcyon_name; }

ReferenceKind KindOf(jobs::HeadKind head) {
  const auto found = std::find(std::begin(kHeads) + 1, std::end(kHeads), head);
  HALCYON_CHECK(found != std::end(kHeads));
  return static_cast<ReferenceKind>(found - std::begin(kHeads));
}

absl::StatusOr<ReferenceKind> KindOfReference(const json& config, const TensorShapes& tensors) {
  if (const auto names = config.find("architectures");
      config.is_object() && names != config.end() && names->is_array()) {
    for (const Architecture& known : kArchitectures) {
      if (std::find(names->begin(), names->end(), known.name) != names->end()) return known.kind;
    }
  }
  if (HasPrefix(tensors, "mlp_generator.") || HasPrefix(tensors, "generative_head.mlp_blocks.")) {
    return ReferenceKind::kEnergy;
  }
  const std::string head = "generative_head.net.";
  if (HasPrefix(tensors, head)) {
    // A diffusion model predicts a variance, too.
    const int64_t latent_size = Extent(tensors, head + "input_proj.weight", 1);
    return Extent(tensors, head + "final_layer.linear.weight", 0) == latent_size
               ? ReferenceKind::kFlow
               : ReferenceKind::kDiffusion;
  }
  if (HasPrefix(tensors, "encoder.") && HasPrefix(tensors, "decoder.")) {
    return ReferenceKind::kAutoencoder;
  }
  if (HasPrefix(tensors, "model.layers.")) return ReferenceKind::kBaseline;
  return InvalidArgument(
      "config.json: architectures names no known model, and neither do the tensors; expected "
      "Autoencoder, EnergyTransformer, FlowTransformer, DiffusionTransformer or LlamaForCausalLM");
}

absl::StatusOr<ReferenceAutoencoder> AutoencoderFromConfig(const json& config) {
  ConfigReader reader(config);
  ReferenceAutoencoder autoencoder{.spec = jobs::PaperAutoencoder()};
  jobs::AutoencoderSpec& spec = autoencoder.spec;
  autoencoder.vocab_size = reader.Integer("vocab_size");
  spec.chunk_size = reader.Integer("patch_size", spec.chunk_size);
  spec.latent_size = reader.Integer("latent_size", spec.latent_size);
  spec.hidden_size = reader.Integer("hidden_size", spec.hidden_size);
  spec.intermediate_size = reader.Integer("intermediate_size", spec.intermediate_size);
  spec.encoder_layers = EvenLayers(reader, "num_encoder_layers");
  spec.decoder_layers = EvenLayers(reader, "num_decoder_layers");
  spec.norm_epsilon = reader.Number("rms_norm_eps", spec.norm_epsilon);
  spec.token_dropout = reader.Number("ae_dropout", spec.token_dropout);
  spec.latent_dropout = spec.token_dropout;
  spec.token_dropout_rule = jobs::TokenDropoutRule::kZeroId;
  spec.kl_weight = reader.Number("kl_weight", spec.kl_weight);
  spec.kl_clamp = reader.Number("kl_clamp", spec.kl_clamp);
  spec.init_std = reader.Number("initializer_range", spec.init_std);
  reader.Expect("hidden_act", "silu");
  reader.Expect("mlp_bias", false);
  RETURN_IF_ERROR(reader.status());
  return autoencoder;
}

absl::StatusOr<ReferenceModel> ModelFromConfig(ReferenceKind kind, const json& config,
                                               bool has_output) {
  ConfigReader reader(config);
  ReferenceModel model{.spec = PublishedModel()};
  jobs::ModelSpec& spec = model.spec;
  spec.head = kHeads[static_cast<size_t>(kind)];
  model.vocab_size = reader.Integer("vocab_size");
  spec.hidden_size = reader.Integer("hidden_size");
  spec.intermediate_size = reader.Integer("intermediate_size");
  spec.layers = reader.Integer("num_hidden_layers");
  spec.attention_heads = reader.Integer("num_attention_heads");
  spec.key_value_heads = reader.Integer("num_key_value_heads", spec.attention_heads);
  spec.norm_epsilon = reader.Number("rms_norm_eps", spec.norm_epsilon);
  spec.rope_theta = RopeTheta(reader);
  spec.init_std = reader.Number("initializer_range", spec.init_std);
  spec.window_chunks = std::clamp<int64_t>(
      reader.Integer("max_position_embeddings", spec.window_chunks), 2, 1 << 20);
  if (kind == ReferenceKind::kBaseline) {
    spec.tie_embeddings = reader.Boolean("tie_word_embeddings", !has_output);
  } else {
    model.chunk_size = reader.Integer("patch_size", jobs::PaperAutoencoder().chunk_size);
    model.latent_size = reader.Integer("latent_size", jobs::PaperAutoencoder().latent_size);
    spec.head_layers = reader.Integer("num_mlp_layers", 4);
    // One draw trains a flow; the job file asks for two because the energy loss does.
    spec.samples = std::max<int64_t>(2, reader.Integer("num_samples", spec.samples));
  }
  if (kind == ReferenceKind::kEnergy) {
    spec.noise_size = reader.Integer("noise_size", spec.noise_size);
    spec.alpha = reader.Number("beta", spec.alpha);
  }
  reader.Expect("hidden_act", "silu");
  reader.Expect("attention_bias", false);
  reader.Expect("mlp_bias", false);
  if (spec.attention_heads > 0) {
    reader.Expect("head_dim", spec.hidden_size / spec.attention_heads);
  }
  RETURN_IF_ERROR(reader.status());
  return model;
}

json ConfigOf(const ReferenceAutoencoder& autoencoder) {
  const jobs::AutoencoderSpec& spec = autoencoder.spec;
  return {{"architectures", {ArchitectureOf(ReferenceKind::kAutoencoder).name}},
          {"ae_dropout", spec.token_dropout},
          {"hidden_act", "silu"},
          {"hidden_size", spec.hidden_size},
          {"initializer_range", spec.init_std},
          {"intermediate_size", spec.intermediate_size},
          {"kl_clamp", spec.kl_clamp},
          {"kl_weight", spec.kl_weight},
          {"latent_size", spec.latent_size},
          {"mlp_bias", false},
          {"num_decoder_layers", spec.decoder_layers},
          {"num_encoder_layers", spec.encoder_layers},
          {"patch_size", spec.chunk_size},
          {"pretraining_tp", 1},
          {"rms_norm_eps", spec.norm_epsilon},
          {"tie_word_embeddings", false},
          {"torch_dtype", "float32"},
          {"vocab_size", autoencoder.vocab_size}};
}

json ConfigOf(const ReferenceModel& model) {
  const jobs::ModelSpec& spec = model.spec;
  const ReferenceKind kind = KindOf(spec.head);
  json config = {{"architectures", {ArchitectureOf(kind).name}},
                 {"attention_bias", false},
                 {"attention_dropout", 0.0},
                 {"hidden_act", "silu"},
                 {"hidden_size", spec.hidden_size},
                 {"initializer_range", spec.init_std},
                 {"intermediate_size", spec.intermediate_size},
                 {"max_position_embeddings", spec.window_chunks},
                 {"mlp_bias", false},
                 {"num_attention_heads", spec.attention_heads},
                 {"num_hidden_layers", spec.layers},
                 {"num_key_value_heads",
                  spec.key_value_heads == 0 ? spec.attention_heads : spec.key_value_heads},
                 {"pretraining_tp", 1},
                 {"rms_norm_eps", spec.norm_epsilon},
                 {"rope_scaling", nullptr},
                 {"rope_theta", spec.rope_theta},
                 {"tie_word_embeddings", spec.tie_embeddings},
                 {"torch_dtype", "float32"},
                 {"use_cache", true},
                 {"vocab_size", model.vocab_size}};
  if (kind == ReferenceKind::kBaseline) {
    config["model_type"] = "llama";
    return config;
  }
  config["latent_size"] = model.latent_size;
  config["num_mlp_layers"] = spec.head_layers;
  config["num_samples"] = spec.samples;
  config["patch_size"] = model.chunk_size;
  config["noise_size"] = spec.noise_size;
  config["beta"] = spec.alpha;
  return config;
}

absl::StatusOr<json> InferAutoencoderConfig(const TensorShapes& tensors,
                                            const std::string& prefix) {
  const auto layers = [&](const std::string& half) {
    int64_t count = 0;
    while (HasPrefix(tensors, prefix + half + std::to_string(count) + ".")) ++count;
    return count;
  };
  ReferenceAutoencoder autoencoder{.spec = jobs::PaperAutoencoder()};
  jobs::AutoencoderSpec& spec = autoencoder.spec;
  const std::string table = prefix + "decoder.lm_head_weight";
  const std::string embedding = prefix + "encoder.embed_tokens.weight";
  const std::string& present = tensors.contains(embedding) ? embedding : table;
  autoencoder.vocab_size = Extent(tensors, present, 0);
  spec.hidden_size = Extent(tensors, present, 1);
  spec.encoder_layers = layers("encoder.encoder_layers.");
  spec.decoder_layers = layers("decoder.decoder_layers.");
  spec.intermediate_size =
      Extent(tensors, prefix + "encoder.encoder_layers.0.mlp.gate_proj.weight", 0);
  spec.latent_size = Extent(tensors, prefix + "encoder.hidden_to_latent.weight", 0) / 2;
  const int64_t joined = Extent(tensors, prefix + "encoder.squeeze_layer.weight", 1);
  spec.chunk_size = spec.hidden_size == 0 ? 0 : joined / spec.hidden_size;
  for (const auto& [size, name] :
       {std::pair{spec.hidden_size, embedding},
        {spec.intermediate_size, prefix + "encoder.encoder_layers.0.mlp.gate_proj.weight"},
        {spec.latent_size, prefix + "encoder.hidden_to_latent.weight"},
        {spec.chunk_size, prefix + "encoder.squeeze_layer.weight"}}) {
    if (size == 0) {
      return InvalidArgument("tensor " + name + " is missing or of a wrong shape, and without it " +
                             "the autoencoder's sizes are unknown; give its folder with --ae");
    }
  }
  return ConfigOf(autoencoder);
}

}  // namespace halcyon::model
