#include "model/energy_loss.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/check.h"
#include "model/energy_kernel.h"

namespace halcyon::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

bool Fits(const at::Tensor& tensor, at::IntArrayRef shape) {
  return tensor.sizes() == shape && tensor.is_contiguous() && tensor.is_cpu() &&
         tensor.scalar_type() == at::kFloat;
}

// Outputs energy, target, spread; only the first is differentiable, in the first argument. The
// forward pass leaves the gradient in the context.
struct ExactEnergy : public torch::autograd::Function<ExactEnergy> {
  static variable_list forward(AutogradContext* context, const Variable& samples,
                               const at::Tensor& mean, const at::Tensor& variance, double alpha) {
    const int64_t count = samples.size(0), positions = samples.size(1), latent = samples.size(2);
    at::Tensor energy = at::empty({positions}, at::kFloat);
    at::Tensor target = at::empty({positions}, at::kFloat);
    at::Tensor spread = at::empty({positions}, at::kFloat);
    at::Tensor gradient = at::empty({count, positions, latent}, at::kFloat);
    at::parallel_for(0, positions, 1, [&](int64_t begin, int64_t end) {
      EnergyKernel kernel(count, latent, alpha);
      for (int64_t p = begin; p < end; ++p) {
        const int64_t row = p * latent;
        const EnergyKernel::Input input = {samples.const_data_ptr<float>() + row,
                                           positions * latent, mean.const_data_ptr<float>() + row,
                                           variance.const_data_ptr<float>() + row};
        const EnergyKernel::Terms terms = kernel.Run(input, gradient.data_ptr<float>() + row);
        energy.data_ptr<float>()[p] = static_cast<float>(2 * terms.target - terms.spread);
        target.data_ptr<float>()[p] = static_cast<float>(terms.target);
        spread.data_ptr<float>()[p] = static_cast<float>(terms.spread);
      }
    });
    context->save_for_backward({gradient});
    context->mark_non_differentiable({target, spread});
    return {energy, target, spread};
  }

  static variable_list backward(AutogradContext* context, const variable_list& outputs) {
    const at::Tensor gradient = context->get_saved_variables()[0];
    return {gradient * outputs[0].unsqueeze(1), Variable(), Variable(), Variable()};
  }
};

// ||difference||^alpha over the last dimension, with gradient zero where the difference is.
at::Tensor SafeNorm(const at::Tensor& difference, double alpha) {
  const at::Tensor squares = difference.square().sum(-1);
  const at::Tensor apart = squares > 0;
  return at::where(apart, at::where(apart, squares, 1.0).pow(0.5 * alpha), 0.0);
}

}  // namespace

EnergyTerms ExactEnergyLoss(const at::Tensor& samples, const at::Tensor& mean,
                            const at::Tensor& log_std, double alpha) {
  HALCYON_CHECK(samples.dim() == 3 && samples.size(0) >= 2 && alpha > 0 && alpha < 2);
  HALCYON_CHECK(Fits(samples, samples.sizes()) && Fits(mean, samples.sizes().slice(1)) &&
                Fits(log_std, samples.sizes().slice(1)));
  const variable_list terms =
      ExactEnergy::apply(samples, mean.detach(), at::exp(2 * log_std.detach()), alpha);
  return {terms[0], terms[1], terms[2]};
}

EnergyTerms SampledEnergyLoss(const at::Tensor& samples, const at::Tensor& mean,
                              const at::Tensor& log_std, const at::Tensor& normal, double alpha) {
  HALCYON_CHECK(samples.dim() == 3 && samples.size(0) >= 2);
  HALCYON_CHECK(normal.dim() == 3 && normal.sizes().slice(1) == samples.sizes().slice(1));
  const int64_t count = samples.size(0);
  const at::Tensor draws = mean + normal * at::exp(log_std);
  const at::Tensor target =
      SafeNorm(samples.unsqueeze(1) - draws.unsqueeze(0), alpha).flatten(0, 1).mean(0);
  const at::Tensor pairs = SafeNorm(samples.unsqueeze(1) - samples.unsqueeze(0), alpha);
  const at::Tensor spread = pairs.flatten(0, 1).sum(0) / static_cast<double>(count * (count - 1));
  return {2 * target - spread, target.detach(), spread.detach()};
}

}  // namespace halcyon::model
