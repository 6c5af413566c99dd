// The energy head: noise and the backbone's hidden state -> a sample of the next latent (paper
// section 3.3).
#ifndef HALCYON_MODEL_ENERGY_HEAD_H_
#define HALCYON_MODEL_ENERGY_HEAD_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <string>

#include "jobs/job_spec.h"
#include "model/layers.h"
#include "model/unit.h"

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

class EnergyHead {
 public:
  EnergyHead(Unit& unit, const jobs::ModelSpec& spec, int64_t latent_size);
  // hidden [positions, width] before the backbone's final norm, which is the head's first step;
  // noise [samples * positions, noise_size] -> latents [samples * positions, latent].
  at::Tensor operator()(const at::Tensor& hidden, const at::Tensor& noise) const;

 private:
  RmsNorm final_norm_;
  Linear embed_noise_;
  LayerNorm noise_norm_;
  Linear embed_condition_;
  LayerNorm condition_norm_;
  std::deque<EnergyBlock> blocks_;
  LayerNorm output_norm_;
  Linear output_hidden_, output_latent_;
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_ENERGY_HEAD_H_
