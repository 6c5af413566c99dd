// The networks of tests/worker/reference/published_checkpoint.h.
#include <algorithm>
#include <cmath>

#include "tests/worker/reference/published_checkpoint.h"

namespace halcyon::worker {
namespace {

constexpr double kLayerNormEpsilon = 1e-6;

Vector Plus(Vector a, const Vector& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

Vector Times(Vector a, const Vector& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] *= b[i];
  return a;
}

Vector Silu(Vector x) {
  for (double& value : x) value /= 1 + std::exp(-value);
  return x;
}

Vector Part(const Vector& x, int64_t part, int64_t width) {
  return {x.begin() + part * width, x.begin() + (part + 1) * width};
}

Vector Join(Vector a, const Vector& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Vector Normalised(const Vector& x) {
  double mean = 0, variance = 0;
  for (const double value : x) mean += value / static_cast<double>(x.size());
  for (const double value : x)
    variance += std::pow(value - mean, 2) / static_cast<double>(x.size());
  Vector y;
  for (const double value : x)
    y.push_back((value - mean) / std::sqrt(variance + kLayerNormEpsilon));
  return y;
}

// rotate_half: element i turns with element i + width / 2.
Vector Rotated(const Vector& x, size_t position, int64_t head_width, double theta) {
  Vector turned = x;
  const auto half = static_cast<size_t>(head_width / 2);
  for (size_t start = 0; start < x.size(); start += 2 * half) {
    for (size_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(position) *
                           std::pow(theta, -2.0 * static_cast<double>(i) / (2.0 * half));
      const double a = x[start + i], b = x[start + i + half];
      turned[start + i] = a * std::cos(angle) - b * std::sin(angle);
      turned[start + i + half] = b * std::cos(angle) + a * std::sin(angle);
    }
  }
  return turned;
}

Vector Modulated(const Vector& x, const Vector& shift, const Vector& scale) {
  Vector y = x;
  for (size_t i = 0; i < x.size(); ++i) y[i] = x[i] * (1 + scale[i]) + shift[i];
  return y;
}

}  // namespace

Vector PublishedCheckpoint::Linear(const std::string& name, const Vector& x) const {
  const Vector& weight = values_.at(name + ".weight");
  const auto bias = values_.find(name + ".bias");
  Vector y(weight.size() / x.size(), 0.0);
  for (size_t o = 0; o < y.size(); ++o) {
    if (bias != values_.end()) y[o] = bias->second[o];
    for (size_t i = 0; i < x.size(); ++i) y[o] += weight[o * x.size() + i] * x[i];
  }
  return y;
}

Vector PublishedCheckpoint::RmsNorm(const std::string& name, const Vector& x,
                                    double epsilon) const {
  double squares = 0;
  for (const double value : x) squares += value * value / static_cast<double>(x.size());
  Vector y = Times(x, values_.at(name + ".weight"));
  for (double& value : y) value /= std::sqrt(squares + epsilon);
  return y;
}

Vector PublishedCheckpoint::LayerNorm(const std::string& name, const Vector& x) const {
  return Plus(Times(Normalised(x), values_.at(name + ".weight")), values_.at(name + ".bias"));
}

Vector PublishedCheckpoint::GatedMlp(const std::string& name, const Vector& x) const {
  return Linear(name + ".down_proj",
                Times(Silu(Linear(name + ".gate_proj", x)), Linear(name + ".up_proj", x)));
}

Vector PublishedCheckpoint::Row(const std::string& table, int64_t row, int64_t width) const {
  return Part(values_.at(table), row, width);
}

Vector PublishedCheckpoint::Encode(const std::vector<int64_t>& tokens) const {
  const auto layer = [&](int64_t i, const Vector& x) {
    const std::string name = ae_ + "encoder.encoder_layers." + std::to_string(i);
    return Plus(x, GatedMlp(name + ".mlp", RmsNorm(name + ".layernorm", x, sizes_.ae_epsilon)));
  };
  const int64_t half = sizes_.encoder_layers / 2;
  Vector joined;
  for (const int64_t token : tokens) {
    Vector x = Row(ae_ + "encoder.embed_tokens.weight", token, sizes_.ae_width);
    for (int64_t i = 0; i < half; ++i) x = layer(i, x);
    joined = Join(joined, x);
  }
  Vector x = Linear(ae_ + "encoder.squeeze_layer", joined);
  for (int64_t i = half; i < sizes_.encoder_layers; ++i) x = layer(i, x);
  return Linear(ae_ + "encoder.hidden_to_latent",
                RmsNorm(ae_ + "encoder.norm", x, sizes_.ae_epsilon));
}

Vector PublishedCheckpoint::Decode(const Vector& latent) const {
  const auto layer = [&](int64_t i, const Vector& x) {
    const std::string name = ae_ + "decoder.decoder_layers." + std::to_string(i);
    return Plus(x, GatedMlp(name + ".mlp", RmsNorm(name + ".layernorm", x, sizes_.ae_epsilon)));
  };
  const int64_t half = sizes_.decoder_layers / 2;
  Vector x = Linear(ae_ + "decoder.latent_to_hidden", latent);
  for (int64_t i = 0; i < half; ++i) x = layer(i, x);
  x = Linear(ae_ + "decoder.expand_layer", x);
  Vector logits;
  for (int64_t k = 0; k < sizes_.chunk; ++k) {
    Vector token = Part(x, k, sizes_.ae_width);
    for (int64_t i = half; i < sizes_.decoder_layers; ++i) token = layer(i, token);
    token = RmsNorm(ae_ + "decoder.norm", token, sizes_.ae_epsilon);
    for (int64_t v = 0; v < sizes_.vocab; ++v) {
      const Vector products =
          Times(token, Row(ae_ + "encoder.embed_tokens.weight", v, sizes_.ae_width));
      double sum = 0;
      for (const double product : products) sum += product;
      logits.push_back(sum);
    }
  }
  return logits;
}

std::vector<Vector> PublishedCheckpoint::Inputs(
    const std::vector<std::vector<int64_t>>& chunks) const {
  std::vector<Vector> inputs;
  for (const std::vector<int64_t>& chunk : chunks) {
    Vector joined;
    for (const int64_t token : chunk) {
      joined = Join(joined, Row(backbone_ + "embed_tokens.weight", token, sizes_.width));
    }
    inputs.push_back(
        LayerNorm("embed_proj.3", Linear("embed_proj.2", Silu(Linear("embed_proj.0", joined)))));
  }
  return inputs;
}

std::vector<Vector> PublishedCheckpoint::Attend(const std::string& name,
                                                const std::vector<Vector>& normed) const {
  const int64_t width = sizes_.width / sizes_.heads, group = sizes_.heads / sizes_.shared_heads;
  std::vector<Vector> queries, keys, values, outputs;
  for (size_t t = 0; t < normed.size(); ++t) {
    queries.push_back(Rotated(Linear(name + ".q_proj", normed[t]), t, width, sizes_.theta));
    keys.push_back(Rotated(Linear(name + ".k_proj", normed[t]), t, width, sizes_.theta));
    values.push_back(Linear(name + ".v_proj", normed[t]));
  }
  for (size_t t = 0; t < normed.size(); ++t) {
    Vector mixed;
    for (int64_t head = 0; head < sizes_.heads; ++head) {
      const Vector query = Part(queries[t], head, width);
      Vector sum(static_cast<size_t>(width), 0.0);
      double total = 0;
      for (size_t s = 0; s <= t; ++s) {
        double score = 0;
        const Vector products = Times(query, Part(keys[s], head / group, width));
        for (const double product : products) score += product;
        const double share = std::exp(score / std::sqrt(static_cast<double>(width)));
        const Vector value = Part(values[s], head / group, width);
        for (size_t i = 0; i < sum.size(); ++i) sum[i] += share * value[i];
        total += share;
      }
      for (const double value : sum) mixed.push_back(value / total);
    }
    outputs.push_back(Linear(name + ".o_proj", mixed));
  }
  return outputs;
}

std::vector<Vector> PublishedCheckpoint::Hidden(const std::vector<Vector>& inputs) const {
  std::vector<Vector> states = inputs;
  for (int64_t layer = 0; layer < sizes_.layers; ++layer) {
    const std::string name = backbone_ + "layers." + std::to_string(layer);
    std::vector<Vector> normed;
    for (const Vector& state : states) {
      normed.push_back(RmsNorm(name + ".input_layernorm", state, sizes_.epsilon));
    }
    const std::vector<Vector> attended = Attend(name + ".self_attn", normed);
    for (size_t t = 0; t < states.size(); ++t) {
      states[t] = Plus(states[t], attended[t]);
      states[t] =
          Plus(states[t], GatedMlp(name + ".mlp", RmsNorm(name + ".post_attention_layernorm",
                                                          states[t], sizes_.epsilon)));
    }
  }
  for (Vector& state : states) state = RmsNorm(backbone_ + "norm", state, sizes_.epsilon);
  return states;
}

Vector PublishedCheckpoint::EnergySample(const Vector& hidden, const Vector& noise) const {
  const std::string head = "mlp_generator.";
  Vector e = LayerNorm(head + "norm_noise", Linear(head + "noise_embd", noise));
  const Vector c = LayerNorm(head + "norm_hidden", Linear(head + "hidden_embd", hidden));
  for (int64_t i = 0; i < sizes_.blocks; ++i) {
    const std::string block = head + "mlp_blocks." + std::to_string(i);
    Vector x = Linear(block + ".linears.0", Join(LayerNorm(block + ".in_ln", e), c));
    x = Linear(block + ".linears.4", Silu(Linear(block + ".linears.2", Silu(x))));
    e = Plus(e, Linear(block + ".down_proj",
                       Times(Silu(Part(x, 0, sizes_.width)), Part(x, 1, sizes_.width))));
  }
  return Linear(
      head + "final_layer.linears.2",
      Silu(Linear(head + "final_layer.linears.0", LayerNorm(head + "final_layer.in_ln", e))));
}

Vector PublishedCheckpoint::Denoise(const Vector& noisy, int64_t time, const Vector& hidden) const {
  const std::string net = "generative_head.net.";
  Vector waves(256);
  for (size_t i = 0; i < 128; ++i) {
    const double angle =
        static_cast<double>(time) * std::pow(10000.0, -static_cast<double>(i) / 128);
    waves[i] = std::cos(angle);
    waves[128 + i] = std::sin(angle);
  }
  Vector y = Linear(net + "time_embed.mlp.2", Silu(Linear(net + "time_embed.mlp.0", waves)));
  y = Silu(Plus(y, Linear(net + "cond_embed", hidden)));
  Vector x = Linear(net + "input_proj", noisy);
  for (int64_t i = 0; i < sizes_.blocks; ++i) {
    const std::string block = net + "res_blocks." + std::to_string(i);
    const Vector m = Linear(block + ".adaLN_modulation.1", y);
    const Vector moved = Modulated(LayerNorm(block + ".in_ln", x), Part(m, 0, sizes_.width),
                                   Part(m, 1, sizes_.width));
    x = Plus(x, Times(Part(m, 2, sizes_.width),
                      Linear(block + ".mlp.2", Silu(Linear(block + ".mlp.0", moved)))));
  }
  const Vector m = Linear(net + "final_layer.adaLN_modulation.1", y);
  return Linear(net + "final_layer.linear",
                Modulated(Normalised(x), Part(m, 0, sizes_.width), Part(m, 1, sizes_.width)));
}

std::vector<Vector> PublishedCheckpoint::BaselineLogits(const std::vector<int64_t>& tokens) const {
  std::vector<Vector> inputs, logits;
  const std::string table = backbone_ + "embed_tokens.weight";
  for (const int64_t token : tokens) inputs.push_back(Row(table, token, sizes_.width));
  for (const Vector& state : Hidden(inputs)) {
    Vector& row = logits.emplace_back();
    for (int64_t v = 0; v < sizes_.vocab; ++v) {
      const std::string output = sizes_.tied ? table : "lm_head.weight";
      const Vector products = Times(state, Row(output, v, sizes_.width));
      double sum = 0;
      for (const double product : products) sum += product;
      row.push_back(sum);
    }
  }
  return logits;
}

}  // namespace halcyon::worker
