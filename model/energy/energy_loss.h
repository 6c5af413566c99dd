// The energy loss: a strictly proper score of model samples against a target posterior (paper
// section 3.2, equation of the energy loss).
#ifndef HALCYON_MODEL_ENERGY_ENERGY_LOSS_H_
#define HALCYON_MODEL_ENERGY_ENERGY_LOSS_H_

#include <ATen/core/Tensor.h>

#include "model/kernels/device_kernels.h"

namespace halcyon::model {

// Per position, with N samples x_n and target y ~ N(mean, diag(exp(2 log_std))):
//   target = mean over n of E||y - x_n||^alpha          (exact: one-dimensional quadrature)
//   spread = mean over n != k of ||x_n - x_k||^alpha
//   energy = 2 * target - spread
struct EnergyTerms {
  at::Tensor energy;  // [positions], differentiable in the samples
  at::Tensor target;  // [positions], detached
  at::Tensor spread;  // [positions], detached
};

// samples [N, positions, latent], mean and log_std [positions, latent], float32 contiguous on
// one device; N >= 2, 0 < alpha <= 2. Forward and gradient in one pass over positions; no tensor of
// [N, M, positions, latent]. The gradient at coincident samples is zero. alpha = 2 is allowed but
// not strictly proper: the energy then sees the samples' mean alone.
EnergyTerms ExactEnergyLoss(const at::Tensor& samples, const at::Tensor& mean,
                            const at::Tensor& log_std, double alpha);

// The same with the target term estimated from M draws: normal [M, positions, latent], contiguous.
EnergyTerms SampledEnergyLoss(const at::Tensor& samples, const at::Tensor& mean,
                              const at::Tensor& log_std, const at::Tensor& normal, double alpha);

// The CPU's DeviceKernels::Energy: one pass over all positions.
EnergyPass EnergyOnCpu(const EnergyInputs& inputs);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_ENERGY_ENERGY_LOSS_H_
