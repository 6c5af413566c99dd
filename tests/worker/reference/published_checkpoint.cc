#include "tests/worker/reference/published_checkpoint.h"

#include "base/check.h"
#include "base/env.h"
#include "base/philox.h"
#include "storage/weights/safetensors.h"
#include "tests/testing/torch_writer.h"

namespace halcyon::worker {
namespace {

std::string FloatBytes(const Vector& values) {
  std::string bytes;
  for (const double value : values) bytes += testing::LittleEndian(static_cast<float>(value));
  return bytes;
}

void Write(const std::string& path, const std::string& bytes) {
  HALCYON_CHECK(Env::Posix()->CreateDirs(DirName(path)).ok());
  HALCYON_CHECK(WriteFileAtomically(*Env::Posix(), path, bytes).ok());
}

}  // namespace

PublishedCheckpoint::PublishedCheckpoint(std::string architecture, PublishedSizes sizes,
                                         uint64_t seed)
    : architecture_(std::move(architecture)), sizes_(sizes), seed_(seed) {
  const bool is_baseline = architecture_ == "LlamaForCausalLM";
  const bool is_autoencoder = architecture_ == "Autoencoder";
  ae_ = is_autoencoder ? "" : "ae_model.";
  backbone_ = is_baseline ? "model." : "transformer.";
  if (!is_baseline) AddAutoencoder(ae_);
  if (is_autoencoder) return;
  AddBackbone(backbone_);
  if (is_baseline) {
    if (sizes_.tied) {
      aliases_["lm_head.weight"] = backbone_ + "embed_tokens.weight";
    } else {
      AddLinear("lm_head", sizes_.vocab, sizes_.width, false);
    }
    return;
  }
  AddLinear("embed_proj.0", 2 * sizes_.width, sizes_.chunk * sizes_.width, true);
  AddLinear("embed_proj.2", sizes_.width, 2 * sizes_.width, true);
  AddNorm("embed_proj.3", sizes_.width, true);
  AddHead();
}

void PublishedCheckpoint::Add(const std::string& name, std::vector<int64_t> shape) {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  std::vector<float> drawn(static_cast<size_t>(count));
  PhiloxStream(seed_, NoiseStream::kEvaluation, 0, next_++).FillNormal(0, drawn);
  const bool is_scale = shape.size() == 1 && name.ends_with("weight");
  Vector& values = values_[name];
  // In float, so that what is written is what the oracle computes with.
  for (const float value : drawn) values.push_back((is_scale ? 1.0f : 0.0f) + 0.4f * value);
  for (double& value : values) value = static_cast<double>(static_cast<float>(value));
  shapes_[name] = std::move(shape);
}

void PublishedCheckpoint::AddLinear(const std::string& name, int64_t out, int64_t in, bool bias) {
  Add(name + ".weight", {out, in});
  if (bias) Add(name + ".bias", {out});
}

void PublishedCheckpoint::AddNorm(const std::string& name, int64_t width, bool bias) {
  Add(name + ".weight", {width});
  if (bias) Add(name + ".bias", {width});
}

void PublishedCheckpoint::AddAutoencoder(const std::string& prefix) {
  const int64_t d = sizes_.ae_width, joined = sizes_.chunk * d;
  Add(prefix + "encoder.embed_tokens.weight", {sizes_.vocab, d});
  aliases_[prefix + "decoder.lm_head_weight"] = prefix + "encoder.embed_tokens.weight";
  for (const std::string half : {"encoder", "decoder"}) {
    const int64_t layers = half == "encoder" ? sizes_.encoder_layers : sizes_.decoder_layers;
    for (int64_t i = 0; i < layers; ++i) {
      const std::string name = prefix + half + "." + half + "_layers." + std::to_string(i);
      AddLinear(name + ".mlp.gate_proj", sizes_.ae_inner, d, false);
      AddLinear(name + ".mlp.up_proj", sizes_.ae_inner, d, false);
      AddLinear(name + ".mlp.down_proj", d, sizes_.ae_inner, false);
      AddNorm(name + ".layernorm", d, false);
    }
    AddNorm(prefix + half + ".norm", d, false);
  }
  AddLinear(prefix + "encoder.squeeze_layer", d, joined, true);
  AddLinear(prefix + "encoder.hidden_to_latent", 2 * sizes_.latent, d, true);
  AddLinear(prefix + "decoder.latent_to_hidden", d, sizes_.latent, true);
  AddLinear(prefix + "decoder.expand_layer", joined, d, true);
}

void PublishedCheckpoint::AddBackbone(const std::string& prefix) {
  const int64_t width = sizes_.width, shared = width / sizes_.heads * sizes_.shared_heads;
  Add(prefix + "embed_tokens.weight", {sizes_.vocab, width});
  for (int64_t i = 0; i < sizes_.layers; ++i) {
    const std::string name = prefix + "layers." + std::to_string(i);
    AddLinear(name + ".self_attn.q_proj", width, width, false);
    AddLinear(name + ".self_attn.k_proj", shared, width, false);
    AddLinear(name + ".self_attn.v_proj", shared, width, false);
    AddLinear(name + ".self_attn.o_proj", width, width, false);
    AddLinear(name + ".mlp.gate_proj", sizes_.inner, width, false);
    AddLinear(name + ".mlp.up_proj", sizes_.inner, width, false);
    AddLinear(name + ".mlp.down_proj", width, sizes_.inner, false);
    AddNorm(name + ".input_layernorm", width, false);
    AddNorm(name + ".post_attention_layernorm", width, false);
  }
  AddNorm(prefix + "norm", width, false);
}

void PublishedCheckpoint::AddHead() {
  const int64_t width = sizes_.width, latent = sizes_.latent;
  if (architecture_ == "EnergyTransformer") {
    const std::string head = "mlp_generator.";
    AddLinear(head + "noise_embd", width, sizes_.noise, true);
    AddLinear(head + "hidden_embd", width, width, true);
    AddNorm(head + "norm_hidden", width, true);
    AddNorm(head + "norm_noise", width, true);
    for (int64_t i = 0; i < sizes_.blocks; ++i) {
      const std::string block = head + "mlp_blocks." + std::to_string(i);
      AddNorm(block + ".in_ln", width, true);
      AddLinear(block + ".linears.0", width, 2 * width, true);
      AddLinear(block + ".linears.2", width, width, true);
      AddLinear(block + ".linears.4", 2 * width, width, true);
      AddLinear(block + ".down_proj", width, width, true);
    }
    AddNorm(head + "final_layer.in_ln", width, true);
    AddLinear(head + "final_layer.linears.0", width, width, true);
    AddLinear(head + "final_layer.linears.2", latent, width, true);
    for (const auto& [name, shape] : shapes_) {
      if (name.starts_with(head)) aliases_["generative_head." + name.substr(head.size())] = name;
    }
    return;
  }
  const std::string net = "generative_head.net.";
  AddLinear(net + "time_embed.mlp.0", width, 256, true);
  AddLinear(net + "time_embed.mlp.2", width, width, true);
  AddLinear(net + "cond_embed", width, width, true);
  AddLinear(net + "input_proj", width, latent, true);
  for (int64_t i = 0; i < sizes_.blocks; ++i) {
    const std::string block = net + "res_blocks." + std::to_string(i);
    AddNorm(block + ".in_ln", width, true);
    AddLinear(block + ".mlp.0", width, width, true);
    AddLinear(block + ".mlp.2", width, width, true);
    AddLinear(block + ".adaLN_modulation.1", 3 * width, width, true);
  }
  const int64_t out = architecture_ == "DiffusionTransformer" ? 2 * latent : latent;
  AddLinear(net + "final_layer.linear", out, width, true);
  AddLinear(net + "final_layer.adaLN_modulation.1", 2 * width, width, true);
}

PublishedCheckpoint PublishedCheckpoint::AutoencoderAlone() const {
  PublishedCheckpoint alone("Autoencoder", sizes_, seed_);
  for (auto& [name, values] : alone.values_) values = values_.at(ae_ + name);
  return alone;
}

nlohmann::json PublishedCheckpoint::autoencoder_config() const {
  return {{"architectures", {"Autoencoder"}},
          {"ae_dropout", 0.15},
          {"bos_token_id", 20},
          {"eos_token_id", 21},
          {"hidden_act", "silu"},
          {"hidden_size", sizes_.ae_width},
          {"intermediate_size", sizes_.ae_inner},
          {"kl_clamp", 0.5},
          {"kl_weight", 0.001},
          {"latent_size", sizes_.latent},
          {"num_decoder_layers", sizes_.decoder_layers},
          {"num_encoder_layers", sizes_.encoder_layers},
          {"pad_token_id", 22},
          {"patch_size", sizes_.chunk},
          {"rms_norm_eps", sizes_.ae_epsilon},
          {"transformers_version", "4.43.0"},
          {"vocab_size", sizes_.vocab}};
}

nlohmann::json PublishedCheckpoint::config() const {
  if (architecture_ == "Autoencoder") return autoencoder_config();
  nlohmann::json config = {{"ae_path", "/nowhere/autoencoder"},
                           {"architectures", {architecture_}},
                           {"attention_bias", false},
                           {"attention_dropout", 0.0},
                           {"bos_token_id", 20},
                           {"eos_token_id", 21},
                           {"hidden_act", "silu"},
                           {"hidden_size", sizes_.width},
                           {"initializer_range", 0.02},
                           {"intermediate_size", sizes_.inner},
                           {"max_position_embeddings", 2048},
                           {"mlp_bias", false},
                           {"num_attention_heads", sizes_.heads},
                           {"num_hidden_layers", sizes_.layers},
                           {"num_key_value_heads", sizes_.shared_heads},
                           {"pad_token_id", 22},
                           {"pretraining_tp", 1},
                           {"rms_norm_eps", sizes_.epsilon},
                           {"rope_scaling", nullptr},
                           {"rope_theta", sizes_.theta},
                           {"tie_word_embeddings", sizes_.tied},
                           {"torch_dtype", "float32"},
                           {"use_cache", true},
                           {"vocab_size", sizes_.vocab}};
  if (architecture_ == "LlamaForCausalLM") return config;
  config["beta"] = sizes_.alpha;
  config["latent_size"] = sizes_.latent;
  config["noise_size"] = sizes_.noise;
  config["num_mlp_layers"] = sizes_.blocks;
  config["num_samples"] = 8;
  config["patch_size"] = sizes_.chunk;
  return config;
}

void PublishedCheckpoint::WriteTorch(const std::string& dir) const {
  std::vector<testing::SavedTensor> tensors;
  for (const auto& [name, shape] : shapes_) {
    tensors.push_back({name, "FloatStorage", shape, FloatBytes(values_.at(name))});
  }
  for (const auto& [alias, name] : aliases_) {
    if (!shapes_.contains(name)) continue;
    tensors.push_back({alias, "FloatStorage", shapes_.at(name), "", {}, 0, name});
  }
  Write(JoinPath(dir, "config.json"), config().dump(2));
  Write(JoinPath(dir, "pytorch_model.bin"), testing::WriteTorchFile(tensors));
}

void PublishedCheckpoint::WriteShards(const std::string& dir) const {
  Write(JoinPath(dir, "config.json"), config().dump(2));
  std::map<std::string, std::string> bytes;
  std::vector<storage::TensorView> shards[2];
  nlohmann::json map;
  uint64_t total = 0;
  for (const auto& [name, shape] : shapes_) {
    const size_t shard = map.size() % 2;
    bytes[name] = FloatBytes(values_.at(name));
    shards[shard].push_back({name, storage::DType::kF32, shape, bytes[name]});
    total += bytes[name].size();
    map[name] = "model-" + std::to_string(shard) + ".safetensors";
  }
  for (size_t i = 0; i < 2; ++i) {
    const std::string path = JoinPath(dir, "model-" + std::to_string(i) + ".safetensors");
    HALCYON_CHECK(
        storage::WriteSafetensors(*Env::Posix(), path, shards[i], {{"format", "pt"}}).ok());
  }
  Write(JoinPath(dir, "model.safetensors.index.json"),
        nlohmann::json{{"metadata", {{"total_size", total}}}, {"weight_map", map}}.dump());
}

}  // namespace halcyon::worker
