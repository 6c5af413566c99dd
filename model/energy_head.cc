#include "model/energy_head.h"

#include <ATen/ATen.h>

#include <vector>

namespace halcyon::model {

EnergyBlock::EnergyBlock(Unit& unit, const std::string& name, int64_t width)
    : norm_(unit, name + ".norm", width),
      mix_(unit, name + ".mix", 2 * width, width, Linear::Bias::kYes),
      middle_(unit, name + ".middle", width, width, Linear::Bias::kYes),
      gate_value_(unit, name + ".gate_value", width, 2 * width, Linear::Bias::kYes),
      output_(unit, name + ".output", width, width, Linear::Bias::kYes) {}

at::Tensor EnergyBlock::operator()(const at::Tensor& state, const at::Tensor& condition) const {
  const int64_t width = state.size(1), positions = condition.size(0);
  const at::Tensor of_state = mix_.weight().narrow(1, 0, width);
  const at::Tensor of_condition = mix_.weight().narrow(1, width, width);
  const at::Tensor shared = at::addmm(mix_.bias(), condition, of_condition.t());
  const at::Tensor own = at::mm(norm_(state), of_state.t());
  const at::Tensor mixed = (own.view({-1, positions, width}) + shared).view({-1, width});
  // Not narrow(): the backward pass of split() writes both halves at once.
  const std::vector<at::Tensor> both =
      at::split(gate_value_(at::silu(middle_(at::silu(mixed)))), width, 1);
  return state + output_(at::silu(both[0]) * both[1]);
}

EnergyHead::EnergyHead(Unit& unit, const jobs::ModelSpec& spec, int64_t latent_size)
    : final_norm_(unit, "final_norm", spec.hidden_size),
      embed_noise_(unit, "head.noise", spec.noise_size, spec.hidden_size, Linear::Bias::kYes),
      noise_norm_(unit, "head.noise_norm", spec.hidden_size),
      embed_condition_(unit, "head.condition", spec.hidden_size, spec.hidden_size,
                       Linear::Bias::kYes),
      condition_norm_(unit, "head.condition_norm", spec.hidden_size),
      output_norm_(unit, "head.output_norm", spec.hidden_size),
      output_hidden_(unit, "head.output_hidden", spec.hidden_size, spec.hidden_size,
                     Linear::Bias::kYes),
      output_latent_(unit, "head.output_latent", spec.hidden_size, latent_size, Linear::Bias::kYes,
                     InitKind::kZero) {
  for (int64_t i = 0; i < spec.head_layers; ++i) {
    blocks_.emplace_back(unit, "head.blocks." + std::to_string(i), spec.hidden_size);
  }
}

at::Tensor EnergyHead::operator()(const at::Tensor& hidden, const at::Tensor& noise) const {
  at::Tensor state = noise_norm_(embed_noise_(noise));
  const at::Tensor condition = condition_norm_(embed_condition_(final_norm_(hidden)));
  for (const EnergyBlock& block : blocks_) state = block(state, condition);
  return output_latent_(at::silu(output_hidden_(output_norm_(state))));
}

}  // namespace halcyon::model
