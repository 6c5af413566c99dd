#include "model/energy/energy_loss.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/check.h"
#include "model/energy/energy_kernel.h"

namespace halcyon::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

bool Fits(const at::Tensor& tensor, at::IntArrayRef shape, c10::Device device) {
  return tensor.sizes() == shape && tensor.is_contiguous() && tensor.device() == device &&
         tensor.scalar_type() == at::kFloat;
}

// Outputs energy, target, spread; only the first is differentiable, in the first argument. The
// forward pass leaves the gradient in the context.
struct FusedEnergy : public torch::autograd::Function<FusedEnergy> {
  static variable_list forward(AutogradContext* context, const Variable& samples,
                               const at::Tensor& mean, const at::Tensor& std,
                               const std::optional<at::Tensor>& normal, double alpha) {
    const EnergyPass pass = KernelsFor(samples.device())
                                .Energy({samples, mean, std, normal.value_or(at::Tensor()), alpha});
    context->save_for_backward({pass.gradient});
    context->mark_non_differentiable({pass.target, pass.spread});
    return {pass.energy, pass.target, pass.spread};
  }

  static variable_list backward(AutogradContext* context, const variable_list& outputs) {
    const at::Tensor gradient = context->get_saved_variables()[0];
    return {gradient * outputs[0].unsqueeze(1), Variable(), Variable(), Variable(), Variable()};
  }
};

EnergyTerms FusedEnergyLoss(const at::Tensor& samples, const at::Tensor& mean,
                            const at::Tensor& log_std, const std::optional<at::Tensor>& normal,
                            double alpha) {
  HALCYON_CHECK(samples.dim() == 3 && samples.size(0) >= 2 && alpha > 0 && alpha <= 2);
  const c10::Device device = samples.device();
  HALCYON_CHECK(Fits(samples, samples.sizes(), device) &&
                Fits(mean, samples.sizes().slice(1), device) &&
                Fits(log_std, samples.sizes().slice(1), device));
  const variable_list terms =
      FusedEnergy::apply(samples, mean.detach(), at::exp(log_std.detach()), normal, alpha);
  return {terms[0], terms[1], terms[2]};
}

}  // namespace

EnergyPass EnergyOnCpu(const EnergyInputs& inputs) {
  const at::Tensor& samples = inputs.samples;
  const int64_t count = samples.size(0), positions = samples.size(1), latent = samples.size(2);
  const bool exact = !inputs.normal.defined();
  const EnergyPass pass = {at::empty({positions}, at::kFloat), at::empty({positions}, at::kFloat),
                           at::empty({positions}, at::kFloat),
                           at::empty({count, positions, latent}, at::kFloat)};
  at::parallel_for(0, positions, 1, [&](int64_t begin, int64_t end) {
    EnergyKernel kernel(count, latent, inputs.alpha);
    for (int64_t p = begin; p < end; ++p) {
      const int64_t row = p * latent;
      const EnergyKernel::Input input = {
          .samples = samples.const_data_ptr<float>() + row,
          .stride = positions * latent,
          .mean = inputs.mean.const_data_ptr<float>() + row,
          .std = inputs.std.const_data_ptr<float>() + row,
          .normal = exact ? nullptr : inputs.normal.const_data_ptr<float>() + row,
          .draws = exact ? 0 : inputs.normal.size(0)};
      const EnergyKernel::Terms terms = kernel.Run(input, pass.gradient.data_ptr<float>() + row);
      pass.energy.data_ptr<float>()[p] = static_cast<float>(2 * terms.target - terms.spread);
      pass.target.data_ptr<float>()[p] = static_cast<float>(terms.target);
      pass.spread.data_ptr<float>()[p] = static_cast<float>(terms.spread);
    }
  });
  return pass;
}

EnergyTerms ExactEnergyLoss(const at::Tensor& samples, const at::Tensor& mean,
                            const at::Tensor& log_std, double alpha) {
  return FusedEnergyLoss(samples, mean, log_std, /*normal=*/std::nullopt, alpha);
}

EnergyTerms SampledEnergyLoss(const at::Tensor& samples, const at::Tensor& mean,
                              const at::Tensor& log_std, const at::Tensor& normal, double alpha) {
  HALCYON_CHECK(normal.dim() == 3 && normal.size(0) >= 1 &&
                Fits(normal, normal.sizes(), samples.device()) &&
                normal.sizes().slice(1) == mean.sizes());
  return FusedEnergyLoss(samples, mean, log_std, normal.detach(), alpha);
}

}  // namespace halcyon::model
