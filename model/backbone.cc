#include "model/backbone.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/check.h"
#include "model/causal_attention.h"
#include "model/fused_layers.h"
#include "model/to_device.h"

namespace halcyon::model {
namespace {

// A cache grows by doubling from here, so that adding a step rarely copies.
constexpr int64_t kCapacityMin = 64;

int64_t KeyValueHeads(const jobs::ModelSpec& spec) {
  return spec.key_value_heads == 0 ? spec.attention_heads : spec.key_value_heads;
}

// Writes `added` [batch, heads, steps, width] behind the first `length` steps of `stored`, which
// grows when it is full, and returns all steps.
at::Tensor Append(at::Tensor& stored, int64_t length, const at::Tensor& added) {
  const int64_t needed = length + added.size(2);
  if (!stored.defined() || stored.size(2) < needed) {
    const int64_t capacity = std::max({kCapacityMin, needed, 2 * length});
    at::Tensor grown =
        at::empty({added.size(0), added.size(1), capacity, added.size(3)}, added.options());
    if (length > 0) grown.narrow(2, 0, length).copy_(stored.narrow(2, 0, length));
    stored = grown;
  }
  stored.narrow(2, length, added.size(2)).copy_(added);
  return stored.narrow(2, 0, needed);
}

// Attention sees everything cached, and the new steps up to itself.
at::Tensor CausalBehind(int64_t length, int64_t steps, c10::Device device) {
  const at::TensorOptions options = at::TensorOptions(at::kBool).device(device);
  return at::ones({1, 1, steps, length + steps}, options).tril(length);
}

// Of `steps` new steps behind `length` cached ones, on the device, with positions. `given` may be
// null.
Placement PlacementOf(const Placement* given, int64_t length, int64_t steps, bool is_cached,
                      c10::Device device) {
  Placement here;
  if (given != nullptr && given->positions.defined()) {
    here.positions = ToDevice(given->positions, device);
  } else {
    here.positions = at::arange(length, length + steps, at::TensorOptions(at::kLong).device(device))
                         .unsqueeze(0);
  }
  if (given != nullptr && given->visible.defined()) {
    here.visible = ToDevice(given->visible, device);
  } else if (given != nullptr && given->first_visible.defined()) {
    here.first_visible = ToDevice(given->first_visible, device);
    if (is_cached) here.visible = CausalMask(here.first_visible, length);
  } else if (length > 0 && steps > 1) {  // a single step sees everything, which needs no mask
    here.visible = CausalBehind(length, steps, device);
  }
  return here;
}

}  // namespace

void BackboneCache::Select(const at::Tensor& rows) {
  for (Block& block : blocks_) {
    if (!block.keys.defined()) continue;
    const at::Tensor index = ToDevice(rows, block.keys.device());
    block.keys = block.keys.index_select(0, index);
    block.values = block.values.index_select(0, index);
  }
}

void BackboneCache::Truncate(int64_t length) {
  HALCYON_CHECK(length >= 0 && length <= length_);
  length_ = length;
}

Rotation::Rotation(const at::Tensor& positions, int64_t head_width, double theta,
                   at::ScalarType dtype) {
  // Angles in double: a float's product of a large position and a frequency loses digits.
  const at::Tensor index =
      at::arange(head_width / 2, at::TensorOptions(at::kDouble).device(positions.device()));
  const at::Tensor frequency = at::pow(theta, index * (-2.0 / static_cast<double>(head_width)));
  const at::Tensor angle = (positions.to(at::kDouble).unsqueeze(-1) * frequency).unsqueeze(2);
  cosine_ = at::cos(angle).to(dtype);
  sine_ = at::sin(angle).to(dtype);
}

at::Tensor Rotation::operator()(const at::Tensor& heads) const {
  return RotatedHeads(heads, cosine_, sine_);
}

TransformerBlock::TransformerBlock(Unit& unit, const std::string& name, const jobs::ModelSpec& spec)
    : heads_(spec.attention_heads),
      key_value_heads_(KeyValueHeads(spec)),
      norm_(unit, name + ".attention.norm", spec.hidden_size, spec.norm_epsilon),
      query_(unit, name + ".attention.query", spec.hidden_size, spec.hidden_size,
             Linear::Bias::kNone),
      key_(unit, name + ".attention.key", spec.hidden_size,
           spec.hidden_size / heads_ * key_value_heads_, Linear::Bias::kNone),
      value_(unit, name + ".attention.value", spec.hidden_size,
             spec.hidden_size / heads_ * key_value_heads_, Linear::Bias::kNone),
      output_(unit, name + ".attention.output", spec.hidden_size, spec.hidden_size,
              Linear::Bias::kNone),
      mlp_(unit, name + ".mlp", spec.hidden_size, spec.intermediate_size, spec.norm_epsilon) {}

at::Tensor TransformerBlock::Attend(const at::Tensor& rows, int64_t batch, const Rotation& rotation,
                                    const Placement& placement, int64_t length,
                                    BackboneCache::Block* cache) const {
  const auto projected = NormedLinears(rows, norm_.weight(), norm_.epsilon(),
                                       {query_.weight(), key_.weight(), value_.weight()});
  const at::Tensor mixed =
      cache == nullptr && !placement.visible.defined()
          ? AttendOwnSteps(projected, batch, rotation, placement.first_visible)
          : AttendCached(projected, batch, rotation, placement.visible, length, cache);
  return LinearAdd(mixed, output_.weight(), rows);
}

at::Tensor TransformerBlock::AttendOwnSteps(const std::vector<at::Tensor>& projected, int64_t batch,
                                            const Rotation& rotation,
                                            const at::Tensor& first_visible) const {
  const int64_t hidden = projected[0].size(1), times = heads_ / key_value_heads_;
  AttentionRows rows = {projected[0], projected[1], projected[2]};
  if (times > 1) {
    // Not in bfloat16: gradients of a group's heads are summed before they are rounded.
    const at::ScalarType type = at::promote_types(rows.query.scalar_type(), at::kFloat);
    const auto for_all_heads = [&](const at::Tensor& wide) {
      return wide.to(type)
          .view({-1, key_value_heads_, hidden / heads_})
          .repeat_interleave(times, 1)
          .view({-1, hidden});
    };
    rows = {rows.query.to(type), for_all_heads(rows.key), for_all_heads(rows.value)};
  }
  return CausalAttention(rows, batch, heads_, rotation.cosine(), rotation.sine(), first_visible);
}

at::Tensor TransformerBlock::AttendCached(const std::vector<at::Tensor>& projected, int64_t batch,
                                          const Rotation& rotation, const at::Tensor& visible,
                                          int64_t length, BackboneCache::Block* cache) const {
  const int64_t hidden = projected[0].size(1);
  const auto split = [&](const at::Tensor& wide) {
    return wide.view({batch, -1, wide.size(1) * heads_ / hidden, hidden / heads_});
  };
  const at::Tensor query = rotation(split(projected[0])).transpose(1, 2);
  at::Tensor key = rotation(split(projected[1])).transpose(1, 2);
  at::Tensor value = split(projected[2]).transpose(1, 2).to(query.scalar_type());
  if (cache != nullptr) {
    key = Append(cache->keys, length, key);
    value = Append(cache->values, length, value);
  }
  if (key_value_heads_ != heads_) {
    key = key.repeat_interleave(heads_ / key_value_heads_, 1);
    value = value.repeat_interleave(heads_ / key_value_heads_, 1);
  }
  const bool causal = !visible.defined() && key.size(2) == query.size(2);
  std::optional<at::Tensor> mask;
  if (visible.defined()) mask = visible;
  const at::Tensor mixed = at::scaled_dot_product_attention(query, key, value, mask, 0.0, causal);
  return mixed.transpose(1, 2).reshape({-1, hidden});
}

at::Tensor TransformerBlock::operator()(const at::Tensor& rows, int64_t batch,
                                        const Rotation& rotation, const Placement& placement,
                                        int64_t length, BackboneCache::Block* cache) const {
  return mlp_(Attend(rows, batch, rotation, placement, length, cache));
}

Backbone::Backbone(const jobs::ModelSpec& spec)
    : head_width_(spec.hidden_size / spec.attention_heads), rope_theta_(spec.rope_theta) {
  for (int64_t i = 0; i < spec.layers; ++i) {
    const std::string name = "block." + std::to_string(i);
    blocks_.emplace_back(units_.emplace_back(name), name, spec);
  }
}

std::vector<Unit*> Backbone::units() {
  std::vector<Unit*> units;
  for (Unit& unit : units_) units.push_back(&unit);
  return units;
}

at::Tensor Backbone::operator()(at::Tensor rows, int64_t batch, const Placement* placement,
                                BackboneCache* cache) {
  const int64_t steps = rows.size(0) / batch;
  const int64_t length = cache == nullptr ? 0 : cache->length_;
  if (cache != nullptr) cache->blocks_.resize(blocks_.size());
  const c10::Device device = rows.device();
  const Placement here = PlacementOf(placement, length, steps, cache != nullptr, device);
  const Rotation rotation(here.positions, head_width_, rope_theta_, rows.scalar_type());
  for (size_t i = 0; i < blocks_.size(); ++i) {
    BackboneCache::Block* block_cache = cache == nullptr ? nullptr : &cache->blocks_[i];
    rows = units_[i].Run(rows, [=, &block = blocks_[i]](const at::Tensor& input) {
      return block(input, batch, rotation, here, length, block_cache);
    });
  }
  if (cache != nullptr) cache->length_ += steps;
  return rows;
}

}  // namespace halcyon::model
