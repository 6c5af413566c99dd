// Causal attention with rotary positions on plain arrays of the CPU, forward and gradient: one head
// of one sequence at a time, whose keys and values stay in the processor's cache.
//
// Scores that causality hides are not computed but for a few beside the diagonal. Nothing but the
// inputs is needed for the gradient: scores are made again. A head's sums have one order, so bits
// do not depend on the number of threads; products are contracted with additions where the
// processor has FMA, as all with AVX2 do. T is float or c10::BFloat16; numbers of the latter are
// computed with as floats and rounded to nearest where they are written.
#ifndef HALCYON_MODEL_KERNELS_ATTENTION_KERNEL_H_
#define HALCYON_MODEL_KERNELS_ATTENTION_KERNEL_H_

#include <c10/util/BFloat16.h>

#include <cstdint>

namespace halcyon::model {

struct AttentionShape {
  int64_t batch, steps, heads;
  int64_t half;  // of a head's width
  // Rows of cosine and sine, [angles, half]: step t of sequence b uses row b * steps + t modulo
  // angles. Element i and element i + half of queries and keys turn by it.
  int64_t angles;
};

template <typename T>
struct AttentionInput {
  const T* query;  // each [batch * steps, heads, 2 * half], dense
  const T* key;
  const T* value;
  const float* cosine;
  const float* sine;
  // [batch * steps]: the first step of its sequence that each step sees, at most itself; null: 0.
  const int64_t* first_visible = nullptr;
};

// out [batch * steps, heads, 2 * half]: softmax over the keys that a query's step sees, up to its
// own, of query . key / sqrt(2 * half), times the values.
template <typename T>
void AttentionForward(const AttentionInput<T>& input, const AttentionShape& shape, T* out);

// gradient: that of out. Writes those of query, key and value.
template <typename T>
struct AttentionGradients {
  T* query;
  T* key;
  T* value;
};
template <typename T>
void AttentionBackward(const AttentionInput<T>& input, const AttentionShape& shape,
                       const T* gradient, const AttentionGradients<T>& to);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_KERNELS_ATTENTION_KERNEL_H_
