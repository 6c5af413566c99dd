#include "tests/model/network_oracle.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/philox.h"

namespace halcyon::model {
namespace {

constexpr double kEpsilon = 1e-6;

Vector Plus(const Vector& a, const Vector& b) {
  Vector sum = a;
  for (size_t i = 0; i < a.size(); ++i) sum[i] += b[i];
  return sum;
}

Vector Concatenate(const Vector& a, const Vector& b) {
  Vector both = a;
  both.insert(both.end(), b.begin(), b.end());
  return both;
}

Vector Part(const Vector& x, int64_t first, int64_t count) {
  return {x.begin() + first, x.begin() + first + count};
}

Vector SiluOf(Vector x) {
  for (double& value : x) value = Silu(value);
  return x;
}

// Turns each pair (i, i + width / 2) of every head by position * theta^(-2 i / width).
Vector Rotate(const Vector& x, int64_t position, const jobs::ModelSpec& spec) {
  const int64_t width = spec.hidden_size / spec.attention_heads;
  Vector turned = x;
  for (int64_t head = 0; head < spec.attention_heads; ++head) {
    for (int64_t i = 0; i < width / 2; ++i) {
      const double angle = static_cast<double>(position) *
                           std::pow(spec.rope_theta, -2.0 * static_cast<double>(i) / width);
      const int64_t a = head * width + i, b = a + width / 2;
      turned[a] = x[a] * std::cos(angle) - x[b] * std::sin(angle);
      turned[b] = x[b] * std::cos(angle) + x[a] * std::sin(angle);
    }
  }
  return turned;
}

// Attention of position `last` over positions 0 ... last.
Vector Attend(const std::vector<Vector>& queries, const std::vector<Vector>& keys,
              const std::vector<Vector>& values, size_t last, const jobs::ModelSpec& spec) {
  const int64_t width = spec.hidden_size / spec.attention_heads;
  Vector mixed(spec.hidden_size, 0.0);
  for (int64_t head = 0; head < spec.attention_heads; ++head) {
    Vector scores(last + 1, 0.0);
    double sum = 0;
    for (size_t t = 0; t <= last; ++t) {
      for (int64_t i = head * width; i < (head + 1) * width; ++i) {
        scores[t] += queries[last][i] * keys[t][i] / std::sqrt(static_cast<double>(width));
      }
      sum += std::exp(scores[t]);
    }
    for (size_t t = 0; t <= last; ++t) {
      for (int64_t i = head * width; i < (head + 1) * width; ++i) {
        mixed[i] += std::exp(scores[t]) / sum * values[t][i];
      }
    }
  }
  return mixed;
}

}  // namespace

NetworkOracle::NetworkOracle(const std::vector<Unit*>& units) {
  for (Unit* unit : units) {
    for (const Parameter& parameter : unit->parameters()) {
      const float* values = parameter.value.const_data_ptr<float>();
      values_[parameter.name] = Vector(values, values + parameter.numel());
    }
  }
}

std::vector<std::string> NetworkOracle::names() const {
  std::vector<std::string> names;
  for (const auto& [name, values] : values_) names.push_back(name);
  return names;
}

Vector NetworkOracle::Linear(const Vector& x, const std::string& name) const {
  const Vector& weight = values_.at(name + ".weight");
  const auto bias = values_.find(name + ".bias");
  Vector y(weight.size() / x.size(), 0.0);
  for (size_t o = 0; o < y.size(); ++o) {
    if (bias != values_.end()) y[o] = bias->second[o];
    for (size_t i = 0; i < x.size(); ++i) y[o] += weight[o * x.size() + i] * x[i];
  }
  return y;
}

Vector NetworkOracle::RmsNorm(const Vector& x, const std::string& name) const {
  double squares = 0;
  for (const double value : x) squares += value * value;
  Vector y = x;
  for (size_t i = 0; i < x.size(); ++i) {
    y[i] *= values_.at(name + ".weight")[i] / std::sqrt(squares / x.size() + kEpsilon);
  }
  return y;
}

Vector NetworkOracle::LayerNorm(const Vector& x, const std::string& name) const {
  double mean = 0, variance = 0;
  for (const double value : x) mean += value / x.size();
  for (const double value : x) variance += (value - mean) * (value - mean) / x.size();
  Vector y(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    y[i] = (x[i] - mean) / std::sqrt(variance + kEpsilon) * values_.at(name + ".weight")[i] +
           values_.at(name + ".bias")[i];
  }
  return y;
}

Vector NetworkOracle::GatedMlp(const Vector& x, const std::string& name) const {
  const Vector normed = RmsNorm(x, name + ".norm");
  Vector gated = SiluOf(Linear(normed, name + ".gate"));
  const Vector up = Linear(normed, name + ".up");
  for (size_t i = 0; i < gated.size(); ++i) gated[i] *= up[i];
  return Plus(x, Linear(gated, name + ".down"));
}

Vector NetworkOracle::Row(const std::string& table, int64_t row, int64_t width) const {
  return Part(values_.at(table), row * width, width);
}

int64_t NetworkOracle::Rows(const std::string& table, int64_t width) const {
  return static_cast<int64_t>(values_.at(table).size()) / width;
}

void Randomise(const std::vector<Unit*>& units, uint64_t seed) {
  uint64_t index = 0;
  for (Unit* unit : units) {
    unit->Materialise();
    for (Parameter& parameter : unit->parameters()) {
      const std::span<float> values(parameter.value.data_ptr<float>(), parameter.numel());
      PhiloxStream(seed, NoiseStream::kEvaluation, 0, index++).FillNormal(0, values);
      const float offset = parameter.init == InitKind::kOne ? 1.0f : 0.0f;
      for (float& value : values) value = offset + 0.4f * value;
    }
  }
}

double Silu(double x) { return x / (1 + std::exp(-x)); }

OraclePosterior EncodeChunk(const NetworkOracle& net, const jobs::AutoencoderSpec& spec,
                            const std::vector<int64_t>& tokens) {
  const auto layer = [](int64_t i) { return "encoder.layers." + std::to_string(i); };
  Vector joined;
  for (const int64_t token : tokens) {
    Vector x = token < 0 ? net.Row("mask_embedding", 0, spec.hidden_size)
                         : net.Row("embedding", token, spec.hidden_size);
    for (int64_t i = 0; i < spec.encoder_layers / 2; ++i) x = net.GatedMlp(x, layer(i));
    joined = Concatenate(joined, x);
  }
  Vector x = net.Linear(joined, "encoder.squeeze");
  for (int64_t i = spec.encoder_layers / 2; i < spec.encoder_layers; ++i) {
    x = net.GatedMlp(x, layer(i));
  }
  const Vector both = net.Linear(net.RmsNorm(x, "encoder.norm"), "encoder.posterior");
  OraclePosterior posterior = {Part(both, 0, spec.latent_size), Vector(spec.latent_size, -10.0)};
  if (spec.variational) posterior.log_std = Part(both, spec.latent_size, spec.latent_size);
  for (double& value : posterior.log_std) value = std::clamp(value, -10.0, 4.0);
  return posterior;
}

std::vector<Vector> DecodeLatent(const NetworkOracle& net, const jobs::AutoencoderSpec& spec,
                                 const Vector& latent) {
  const auto layer = [](int64_t i) { return "decoder.layers." + std::to_string(i); };
  Vector x = net.Linear(latent, "decoder.from_latent");
  for (int64_t i = 0; i < spec.decoder_layers / 2; ++i) x = net.GatedMlp(x, layer(i));
  x = net.Linear(x, "decoder.expand");
  std::vector<Vector> logits;
  for (int64_t k = 0; k < spec.chunk_size; ++k) {
    Vector token = Part(x, k * spec.hidden_size, spec.hidden_size);
    for (int64_t i = spec.decoder_layers / 2; i < spec.decoder_layers; ++i) {
      token = net.GatedMlp(token, layer(i));
    }
    token = net.RmsNorm(token, "decoder.norm");
    Vector& row = logits.emplace_back();
    for (int64_t v = 0; v < net.Rows("embedding", spec.hidden_size); ++v) {
      const Vector embedding = net.Row("embedding", v, spec.hidden_size);
      double sum = 0;
      for (int64_t i = 0; i < spec.hidden_size; ++i) sum += embedding[i] * token[i];
      row.push_back(sum);
    }
  }
  return logits;
}

std::vector<Vector> RunBackbone(const NetworkOracle& net, const jobs::ModelSpec& spec,
                                const std::vector<std::vector<int64_t>>& tokens) {
  std::vector<Vector> states;
  for (const std::vector<int64_t>& chunk : tokens) {
    Vector joined;
    for (const int64_t token : chunk) {
      joined = Concatenate(joined, net.Row("input.embedding", token, spec.hidden_size));
    }
    const Vector wide = SiluOf(net.Linear(joined, "input.widen"));
    states.push_back(net.LayerNorm(net.Linear(wide, "input.narrow"), "input.norm"));
  }
  for (int64_t layer = 0; layer < spec.layers; ++layer) {
    const std::string name = "block." + std::to_string(layer);
    std::vector<Vector> queries, keys, values;
    for (size_t t = 0; t < states.size(); ++t) {
      const Vector normed = net.RmsNorm(states[t], name + ".attention.norm");
      const int64_t position = static_cast<int64_t>(t);
      queries.push_back(Rotate(net.Linear(normed, name + ".attention.query"), position, spec));
      keys.push_back(Rotate(net.Linear(normed, name + ".attention.key"), position, spec));
      values.push_back(net.Linear(normed, name + ".attention.value"));
    }
    for (size_t t = 0; t < states.size(); ++t) {
      const Vector mixed = Attend(queries, keys, values, t, spec);
      states[t] = Plus(states[t], net.Linear(mixed, name + ".attention.output"));
      states[t] = net.GatedMlp(states[t], name + ".mlp");
    }
  }
  return states;
}

Vector RunHead(const NetworkOracle& net, const jobs::ModelSpec& spec, const Vector& hidden,
               const Vector& noise) {
  const int64_t width = spec.hidden_size;
  Vector state = net.LayerNorm(net.Linear(noise, "head.noise"), "head.noise_norm");
  const Vector condition = net.LayerNorm(
      net.Linear(net.RmsNorm(hidden, "final_norm"), "head.condition"), "head.condition_norm");
  for (int64_t i = 0; i < spec.head_layers; ++i) {
    const std::string name = "head.blocks." + std::to_string(i);
    const Vector joined = Concatenate(net.LayerNorm(state, name + ".norm"), condition);
    const Vector mixed = SiluOf(net.Linear(joined, name + ".mix"));
    const Vector both =
        net.Linear(SiluOf(net.Linear(mixed, name + ".middle")), name + ".gate_value");
    Vector gated = SiluOf(Part(both, 0, width));
    for (int64_t j = 0; j < width; ++j) gated[j] *= both[width + j];
    state = Plus(state, net.Linear(gated, name + ".output"));
  }
  const Vector out = net.LayerNorm(state, "head.output_norm");
  return net.Linear(SiluOf(net.Linear(out, "head.output_hidden")), "head.output_latent");
}

}  // namespace halcyon::model
