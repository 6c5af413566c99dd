#include "model/heads/energy_head.h"

#include <ATen/ATen.h>

#include "model/energy/energy_loss.h"
#include "model/fused_layers.h"

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
  const at::Tensor shared = LinearRows(condition, of_condition, mix_.bias());
  const at::Tensor own = LinearRows(norm_(state), of_state, {});
  const at::Tensor mixed = (own.view({-1, positions, width}) + shared).view({-1, width});
  return state + output_(GatedHalves(gate_value_(at::silu(middle_(at::silu(mixed))))));
}

EnergyHead::EnergyHead(Unit& unit, const jobs::ModelSpec& spec, int64_t latent_size)
    : spec_(spec),
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

at::Tensor EnergyHead::FromNoise(const at::Tensor& hidden, const at::Tensor& noise) const {
  at::Tensor state = noise_norm_(embed_noise_(noise));
  const at::Tensor condition = condition_norm_(embed_condition_(hidden));
  for (const EnergyBlock& block : blocks_) state = block(state, condition);
  return output_latent_(at::silu(output_hidden_(output_norm_(state))));
}

at::Tensor EnergyHead::Sample(const at::Tensor& hidden, int64_t first, int64_t count,
                              const NoiseRows& noise) const {
  const int64_t rows = hidden.size(0), positions = hidden.size(1);
  const at::Tensor uniform = noise.Uniform({count, positions, spec_.noise_size}, hidden.device(),
                                           first * positions * spec_.noise_size);
  const at::Tensor centred = uniform.transpose(0, 1) - 0.5;  // [count, rows, positions, noise]
  const at::Tensor latents =
      FromNoise(hidden.reshape({rows * positions, -1}), centred.reshape({-1, spec_.noise_size}));
  return latents.view({count, rows, positions, -1});
}

LatentHead::Loss EnergyHead::TrainingLoss(const at::Tensor& hidden, const Posterior& next,
                                          const NoiseRows& noise) const {
  const int64_t positions = hidden.size(1), latent = next.mean.size(1);
  const at::Tensor samples = Sample(hidden, 0, spec_.samples, noise)
                                 .view({spec_.samples, next.mean.size(0), latent})
                                 .contiguous();
  EnergyTerms terms;
  if (spec_.target == jobs::EnergyTarget::kExact) {
    terms = ExactEnergyLoss(samples, next.mean, next.log_std, spec_.alpha);
  } else {
    const int64_t draws = spec_.target_samples;
    const at::Tensor normal =
        noise.Normal({draws, positions, latent}, hidden.device(), kTargetNumbers)
            .transpose(0, 1)
            .reshape({draws, next.mean.size(0), latent});
    terms = SampledEnergyLoss(samples, next.mean, next.log_std, normal, spec_.alpha);
  }
  return {terms.energy, {{"target", terms.target}, {"spread", terms.spread}}};
}

}  // namespace halcyon::model
