// The network that the diffusion and the flow head share: a noisy latent, a time and the backbone's
// hidden state -> a prediction about the noise. Blocks are modulated by time and condition
// (adaptive layer norm; Peebles and Xie, "DiT").
#ifndef HALCYON_MODEL_HEADS_DENOISER_H_
#define HALCYON_MODEL_HEADS_DENOISER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <string>

#include "jobs/job_spec.h"
#include "model/layers.h"
#include "model/noise.h"
#include "model/posterior.h"

namespace halcyon::model {

// x + gate * MLP(LN(x) * (1 + scale) + shift); [shift | scale | gate] = Linear(silu(y)).
class DenoiserBlock {
 public:
  DenoiserBlock(Unit& unit, const std::string& name, int64_t width);
  // state [samples, positions, width]; y [samples or 1, positions, width], after its silu.
  at::Tensor operator()(const at::Tensor& state, const at::Tensor& y) const;

 private:
  LayerNorm norm_;
  Linear expand_, contract_, modulation_;
};

class Denoiser {
 public:
  // output_size: elements of the prediction.
  Denoiser(Unit& unit, const jobs::ModelSpec& spec, int64_t latent_size, int64_t output_size);

  // noisy [samples, positions, latent]; times: int64, [samples, positions] or [1, 1] when all are
  // the same, which then cost next to nothing; hidden [positions, width].
  // -> [samples, positions, output_size].
  at::Tensor operator()(const at::Tensor& noisy, const at::Tensor& times,
                        const at::Tensor& hidden) const;

 private:
  int64_t width_;
  Linear time_first_, time_second_, condition_, input_;
  std::deque<DenoiserBlock> blocks_;
  Linear output_modulation_, output_;
};

// What a denoising head trains on: for each position, draws of the next latent, each with noise and
// a time of its own.
struct DenoisingTasks {
  at::Tensor target, noise;  // [draws, rows * positions, latent]
  at::Tensor times;          // uniform on [0, 1), [draws, rows * positions]
};
// next: [rows * positions, latent].
DenoisingTasks DrawDenoisingTasks(const Posterior& next, int64_t draws, const NoiseRows& noise);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_HEADS_DENOISER_H_
