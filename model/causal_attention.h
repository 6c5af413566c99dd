// Causal self-attention with rotary positions over rows, with a gradient of its own on the CPU.
#ifndef HALCYON_MODEL_CAUSAL_ATTENTION_H_
#define HALCYON_MODEL_CAUSAL_ATTENTION_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace halcyon::model {

// What new steps see of themselves and of `length` steps before them: from `first_visible` (int64
// [batch, steps], counted with those) up to itself each. bool [batch, 1, steps, length + steps].
at::Tensor CausalMask(const at::Tensor& first_visible, int64_t length);

// Queries, keys and values before rotation: each [batch * steps, heads * width], float32, or
// bfloat16 on the CPU: computed with in float32, and the result rounded to bfloat16.
struct AttentionRows {
  at::Tensor query, key, value;
};

// softmax(q k^T / sqrt(width)) v of each head of each sequence, where a step sees those from
// `first_visible` (int64 [batch, steps], at most the step itself; undefined: 0) up to itself, and q
// and k are turned as RotatedHeads does (model/fused_layers.h): cosine and sine [batch or 1, steps,
// 1, width / 2]. -> [batch * steps, heads * width].
//
// On the CPU by model/kernels/attention_kernel.h, which keeps nothing but its inputs for the
// gradient; elsewhere composed of ATen's operations. One backward pass a graph, first derivatives
// only.
at::Tensor CausalAttention(const AttentionRows& rows, int64_t batch, int64_t heads,
                           const at::Tensor& cosine, const at::Tensor& sine,
                           const at::Tensor& first_visible = {});

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_CAUSAL_ATTENTION_H_
