// The matrix product that every layer uses.
#ifndef HALCYON_MODEL_KERNELS_MATMUL_H_
#define HALCYON_MODEL_KERNELS_MATMUL_H_

#include <ATen/core/Tensor.h>

namespace halcyon::model {

// out = a b, or out += a b with kAdd. a: [m, k], b: [k, n], either possibly a transposed view; out:
// [m, n], dense, float32. One device. Makes no autograd history.
//
// Factors are float32 or bfloat16. With a bfloat16 factor the product is one of bfloat16: the other
// is rounded to it, sums are made in float32 and rounded once.
//
// Large products of float32 on a processor with AVX-512 go to oneDNN, all others to what at::mm
// takes (MKL on a CPU). oneDNN's are 3 to 30 % faster where the two were compared, on AMD; it
// refuses below AVX-512, and below about a million multiplications its start costs more than it
// saves.
enum class MatMulTo { kOut, kAdd };
void MatMul(const at::Tensor& a, const at::Tensor& b, MatMulTo to, const at::Tensor& out);
at::Tensor MatMul(const at::Tensor& a, const at::Tensor& b);

// The same product in the type of its factors: where it is one of bfloat16, as it was rounded.
at::Tensor Product(const at::Tensor& a, const at::Tensor& b);

// `values` as a factor of a product with `weight`: rounded to bfloat16 where the weight is of it,
// once for all products that it takes part in.
at::Tensor AsFactor(const at::Tensor& values, const at::Tensor& weight);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_KERNELS_MATMUL_H_
