// A Llama block over rows [batch * chunks, hidden]: causal attention with rotary positions, then a
// gated MLP, each behind an RMSNorm and added to its input. No biases.
#ifndef HALCYON_MODEL_TRANSFORMER_H_
#define HALCYON_MODEL_TRANSFORMER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "jobs/job_spec.h"
#include "model/layers.h"
#include "model/unit.h"

namespace halcyon::model {

// Rotary position embedding (Su et al., "RoFormer") in the half-split layout: in each head, element
// i and element i + width / 2 turn together by position * theta^(-2 i / width).
class Rotation {
 public:
  Rotation(int64_t positions, int64_t head_width, double theta, at::ScalarType dtype);
  // [batch, positions, heads, head_width] -> the same.
  at::Tensor operator()(const at::Tensor& heads) const;

 private:
  at::Tensor cosine_, sine_;  // [positions, 1, head_width / 2]
};

class TransformerBlock {
 public:
  TransformerBlock(Unit& unit, const std::string& name, const jobs::ModelSpec& spec);
  at::Tensor operator()(const at::Tensor& rows, int64_t batch, const Rotation& rotation) const;

 private:
  at::Tensor Attend(const at::Tensor& normed, int64_t batch, const Rotation& rotation) const;

  int64_t heads_;
  RmsNorm norm_;
  Linear query_, key_, value_, output_;
  GatedMlp mlp_;
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_TRANSFORMER_H_
