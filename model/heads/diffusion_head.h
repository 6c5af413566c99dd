// A diffusion head (Li et al., "Autoregressive image generation without vector quantization"):
// ancestral denoising of the next latent, with a learned variance between the two bounds of the
// schedule (Nichol and Dhariwal, section 3.1).
#ifndef HALCYON_MODEL_HEADS_DIFFUSION_HEAD_H_
#define HALCYON_MODEL_HEADS_DIFFUSION_HEAD_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/heads/denoiser.h"
#include "model/heads/diffusion_schedule.h"
#include "model/heads/latent_head.h"

namespace halcyon::model {

class DiffusionHead : public LatentHead {
 public:
  DiffusionHead(Unit& unit, const jobs::ModelSpec& spec, int64_t latent_size);

  // Terms "noise" (mean square error of the noise) and "variational" (bits; trains the variance
  // only), means over the latent and over spec.samples draws; loss = their sum.
  Loss TrainingLoss(const at::Tensor& hidden, const Posterior& next,
                    const NoiseRows& noise) const override;
  // spec.diffusion_steps steps, without clipping.
  int64_t NumbersPerDraw() const override { return latent_size_; }
  at::Tensor Sample(const at::Tensor& hidden, int64_t first, int64_t count,
                    const NoiseRows& noise) const override;

  // The network alone: noisy [samples, positions, latent], times int64 0 ... 999,
  // [samples, positions] or [1, 1]; hidden [positions, width] -> [samples, positions, 2 * latent]:
  // the noise, then the place of the log variance between its bounds, from -1 to 1.
  at::Tensor Predict(const at::Tensor& noisy, const at::Tensor& times,
                     const at::Tensor& hidden) const;

 private:
  const jobs::ModelSpec spec_;
  int64_t latent_size_;
  Denoiser network_;
  DiffusionSchedule training_, sampling_;
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_HEADS_DIFFUSION_HEAD_H_
