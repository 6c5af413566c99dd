// Flow matching (Lipman et al., "Flow matching for generative modeling"): a velocity field that
// carries noise x_0 ~ N(0, 1) to the latent z along x_t = (1 - t) x_0 + t z.
#ifndef HALCYON_MODEL_HEADS_FLOW_HEAD_H_
#define HALCYON_MODEL_HEADS_FLOW_HEAD_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/heads/denoiser.h"
#include "model/heads/latent_head.h"

namespace halcyon::model {

class FlowHead : public LatentHead {
 public:
  FlowHead(Unit& unit, const jobs::ModelSpec& spec, int64_t latent_size);

  // Mean over the latent and over spec.samples draws (z, x_0, t ~ U(0, 1)) of
  // (velocity - (z - x_0))^2. No terms.
  Loss TrainingLoss(const at::Tensor& hidden, const Posterior& next,
                    const NoiseRows& noise) const override;
  // Solves the equation with spec.flow_steps steps of spec.flow_solver.
  int64_t NumbersPerDraw() const override { return latent_size_; }
  at::Tensor Sample(const at::Tensor& hidden, int64_t first, int64_t count,
                    const NoiseRows& noise) const override;

  // The network alone: noisy [samples, positions, latent], times float32 [samples, positions] or
  // [1, 1], of which it sees trunc(1000 t); hidden [positions, width] -> velocities.
  at::Tensor Velocity(const at::Tensor& noisy, const at::Tensor& times,
                      const at::Tensor& hidden) const;
  // start [samples, positions, latent] at t = 0 -> latents at t = 1.
  at::Tensor Solve(const at::Tensor& start, const at::Tensor& hidden, jobs::FlowSolver solver,
                   int64_t steps) const;

 private:
  const jobs::ModelSpec spec_;
  int64_t latent_size_;
  Denoiser network_;
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_HEADS_FLOW_HEAD_H_
