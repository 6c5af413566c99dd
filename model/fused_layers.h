// Layers with gradients written by hand: several operations at a time over the kernels of
// model/kernels/, keeping for the backward pass only what it cannot make again cheaply.
//
// Rows are [rows, width], float32. Weights are float32 or bfloat16: with the latter, products are
// made in bfloat16 (model/kernels/matmul.h) and everything else stays float32, docs/precision.md.
// On the CPU each has its kernel; elsewhere it is composed of ATen's operations, which give the
// same up to rounding. One backward pass a graph, first derivatives only.
#ifndef HALCYON_MODEL_FUSED_LAYERS_H_
#define HALCYON_MODEL_FUSED_LAYERS_H_

#include <ATen/core/Tensor.h>

#include <vector>

namespace halcyon::model {

// table[ids], whose gradient is summed in float32. ids: int64 [rows], of any device; table:
// [entries, width].
at::Tensor EmbeddedRows(const at::Tensor& table, const at::Tensor& ids);

// x W^T (+ b), float32. weight: [out, in]; bias: [out] or undefined. Rows that are in the type of
// the weight are a factor as they are.
at::Tensor LinearRows(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias);

// residual + x W^T.
at::Tensor LinearAdd(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& residual);

// x / sqrt(mean(x^2) + epsilon) * w.
at::Tensor RmsNormRows(const at::Tensor& rows, const at::Tensor& weight, double epsilon);

// n W_i^T for each of the weights, with n = RmsNormRows(rows, norm_weight, epsilon), on the CPU in
// the type of the weights, which is how the products were rounded. Keeps the rows, not n.
std::vector<at::Tensor> NormedLinears(const at::Tensor& rows, const at::Tensor& norm_weight,
                                      double epsilon, const std::vector<at::Tensor>& weights);

// silu(gate) * value, where `both` [rows, 2 * width] holds the gate, then the value.
at::Tensor GatedHalves(const at::Tensor& both);
// residual + (silu(gate) * value) W^T. Keeps gate and value, not their product. Both are float32,
// or on the CPU in the type of the weight.
at::Tensor GatedLinearAdd(const at::Tensor& gate, const at::Tensor& value, const at::Tensor& weight,
                          const at::Tensor& residual);

// Rotary embedding in the half-split layout. heads: [batch, steps, heads, 2 * half]; cosine and
// sine: [batch or 1, steps, 1, half].
at::Tensor RotatedHeads(const at::Tensor& heads, const at::Tensor& cosine, const at::Tensor& sine);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_FUSED_LAYERS_H_
