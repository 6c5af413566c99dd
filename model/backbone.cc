#include "model/transformer.h"

#include <ATen/ATen.h>

namespace halcyon::model {

Rotation::Rotation(int64_t positions, int64_t head_width, double theta, at::ScalarType dtype) {
  // Angles in double: a float's product of a large position and a frequency loses digits.
  const at::Tensor index = at::arange(head_width / 2, at::kDouble);
  const at::Tensor frequency = at::pow(theta, index * (-2.0 / static_cast<double>(head_width)));
  const at::Tensor angle = at::outer(at::arange(positions, at::kDouble), frequency).unsqueeze(1);
  cosine_ = at::cos(angle).to(dtype);
  sine_ = at::sin(angle).to(dtype);
}

at::Tensor Rotation::operator()(const at::Tensor& heads) const {
  const int64_t half = heads.size(3) / 2;
  const at::Tensor first = heads.narrow(3, 0, half), second = heads.narrow(3, half, half);
  return at::cat({first * cosine_ - second * sine_, second * cosine_ + first * sine_}, 3);
}

TransformerBlock::TransformerBlock(Unit& unit, const std::string& name, const jobs::ModelSpec& spec)
    : heads_(spec.attention_heads),
      norm_(unit, name + ".attention.norm", spec.hidden_size),
      query_(unit, name + ".attention.query", spec.hidden_size, spec.hidden_size,
             Linear::Bias::kNone),
      key_(unit, name + ".attention.key", spec.hidden_size, spec.hidden_size, Linear::Bias::kNone),
      value_(unit, name + ".attention.value", spec.hidden_size, spec.hidden_size,
             Linear::Bias::kNone),
      output_(unit, name + ".attention.output", spec.hidden_size, spec.hidden_size,
              Linear::Bias::kNone),
      mlp_(unit, name + ".mlp", spec.hidden_size, spec.intermediate_size) {}

at::Tensor TransformerBlock::Attend(const at::Tensor& normed, int64_t batch,
                                    const Rotation& rotation) const {
  const int64_t hidden = normed.size(1);
  const auto split = [&](const at::Tensor& rows) {
    return rows.view({batch, -1, heads_, hidden / heads_});
  };
  const at::Tensor query = rotation(split(query_(normed))).transpose(1, 2);
  const at::Tensor key = rotation(split(key_(normed))).transpose(1, 2);
  const at::Tensor value = split(value_(normed)).transpose(1, 2);
  const at::Tensor mixed = at::scaled_dot_product_attention(query, key, value, {}, 0.0, true);
  return output_(mixed.transpose(1, 2).reshape({-1, hidden}));
}

at::Tensor TransformerBlock::operator()(const at::Tensor& rows, int64_t batch,
                                        const Rotation& rotation) const {
  return mlp_(rows + Attend(norm_(rows), batch, rotation));
}

}  // namespace halcyon::model
