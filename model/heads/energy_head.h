// The energy head: noise and the backbone's hidden state -> a sample of the next latent in one pass
// (paper section 3.3), trained by the energy score.
#ifndef HALCYON_MODEL_HEADS_ENERGY_HEAD_H_
#define HALCYON_MODEL_HEADS_ENERGY_HEAD_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <string>

#include "jobs/job_spec.h"
#include "model/heads/latent_head.h"
#include "model/layers.h"

namespace halcyon::model {

// e + W4(silu(g) * v) with [g | v] = W3 silu(W2 silu(W1 [LN(e) | c])). The columns of W1 that meet
// the condition c give the same for every sample of a position, so they are used once.
class EnergyBlock {
 public:
  EnergyBlock(Unit& unit, const std::string& name, int64_t width);
  // state [samples * positions, width], condition [positions, width] -> the new state.
  at::Tensor operator()(const at::Tensor& state, const at::Tensor& condition) const;

 private:
  LayerNorm norm_;
  Linear mix_, middle_, gate_value_, output_;
};

class EnergyHead : public LatentHead {
 public:
  EnergyHead(Unit& unit, const jobs::ModelSpec& spec, int64_t latent_size);

  // Terms "target" and "spread": loss = 2 * target - spread.
  Loss TrainingLoss(const at::Tensor& hidden, const Posterior& next,
                    const NoiseRows& noise) const override;
  int64_t NumbersPerDraw() const override { return spec_.noise_size; }
  at::Tensor Sample(const at::Tensor& hidden, int64_t first, int64_t count,
                    const NoiseRows& noise) const override;

  // The network alone: hidden [positions, width]; noise uniform on [-0.5, 0.5),
  // [samples * positions, noise_size] -> latents [samples * positions, latent].
  at::Tensor FromNoise(const at::Tensor& hidden, const at::Tensor& noise) const;

 private:
  const jobs::ModelSpec spec_;
  Linear embed_noise_;
  LayerNorm noise_norm_;
  Linear embed_condition_;
  LayerNorm condition_norm_;
  std::deque<EnergyBlock> blocks_;
  LayerNorm output_norm_;
  Linear output_hidden_, output_latent_;
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_HEADS_ENERGY_HEAD_H_
