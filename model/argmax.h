// The most likely token of each row of hidden states, without the logits.
#ifndef HALCYON_MODEL_ARGMAX_H_
#define HALCYON_MODEL_ARGMAX_H_

#include <ATen/core/Tensor.h>

namespace halcyon::model {

// rows [R, H] in float32, table [V, H] in float32 or bfloat16, on one device, V >= 1 -> int64 [R]:
// argmax over v of rows[r] . table[v], as at::argmax of the materialised product gives it: the
// lowest index among equals, and the first NaN where there is one. Only one tile of the product
// exists at a time, of 1 MB at most. No gradient.
at::Tensor BlockedArgmax(const at::Tensor& rows, const at::Tensor& table);

// The same for dense tensors on the CPU: what its table of kernels has.
at::Tensor ArgmaxOnCpu(const at::Tensor& rows, const at::Tensor& table);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_ARGMAX_H_
