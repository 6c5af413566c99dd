// What the Transformer does to its rows between the matrix products, on plain arrays of the CPU.
//
// Work is cut into blocks of rows that at::parallel_for spreads over the threads; what a row gives
// depends on nothing but the row, and sums over rows are made block by block in one order. So bits
// do not depend on the number of threads, nor on whether the processor has AVX2.
// T is float or c10::BFloat16: numbers of the latter are computed with as floats, and rounded to
// nearest, ties to even, where they are written.
// Arrays do not overlap unless said; rows lie one behind the other unless there is a stride.
#ifndef HALCYON_MODEL_KERNELS_ROW_KERNELS_H_
#define HALCYON_MODEL_KERNELS_ROW_KERNELS_H_

#include <c10/util/BFloat16.h>

#include <cstdint>

namespace halcyon::model {

struct Rows {
  int64_t count, width;
};

// normed = rows * scale * weight with scale = 1 / sqrt(mean(row^2) + epsilon).
// rows, normed: [count, width]; weight: [width]; scale: [count], kept for the gradient.
template <typename T>
void RmsNormForward(const float* rows, const float* weight, Rows shape, double epsilon, T* normed,
                    float* scale);
// gradient: that of normed. Writes those of rows and of weight.
void RmsNormBackward(const float* rows, const float* weight, const float* scale,
                     const float* gradient, Rows shape, float* rows_gradient,
                     float* weight_gradient);

// out = silu(gate) * value, silu(x) = x / (1 + e^-x). Rows of gate and value are `stride` apart.
template <typename T>
void GatedForward(const T* gate, const T* value, Rows shape, int64_t stride, T* out);
// gradient: that of out. Writes those of gate and value, with the same stride, and out once more:
// it costs less to make it again than to keep it.
template <typename T>
void GatedBackward(const T* gate, const T* value, const T* gradient, Rows shape, int64_t stride,
                   T* gate_gradient, T* value_gradient, T* out);

// Turns element i and element i + half of each head by an angle: (a cos - b sin, b cos + a sin).
// in, out: [count, heads, 2 * half]; cosine, sine: [table, half], row r uses entry r modulo table;
// direction: 1, or -1 to turn back.
struct Heads {
  int64_t count, heads, half, table;
};
void RotateHeads(const float* in, const float* cosine, const float* sine, Heads shape,
                 float direction, float* out);

// Cross-entropy of each row's softmax with its label. logits: [count, width], which becomes the
// gradient of sum(weights * losses) when `with_gradient`, and is otherwise spent.
// losses: [count]; correct: [count], 1 where the label's logit is the first largest one.
struct Labelled {
  const int64_t* labels;  // [count], in [0, width)
  const float* weights;   // [count]
};
template <typename T>
void CrossEntropyRows(const Labelled& targets, Rows shape, bool with_gradient, T* logits,
                      float* losses, float* correct);

// to += from, both dense.
void AddRows(const c10::BFloat16* from, Rows shape, float* to);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_KERNELS_ROW_KERNELS_H_
