#include "model/kernels/matmul.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "model/kernels/row_kernels.h"

namespace at::native {
// Exported by LibTorch 2.11 but in no header of it. mat1 and mat2 may be transposed;
// result = alpha * mat1 mat2 + beta * result.
void mkldnn_matmul(const Tensor& mat1, const Tensor& mat2, const Tensor& result, float beta,
                   float alpha);
}  // namespace at::native

namespace halcyon::model {
namespace {

constexpr int64_t kOneDnnProductsMin = int64_t{1} << 20;

// By trying: it heeds the processor and ONEDNN_MAX_CPU_ISA.
bool OneDnnWorks() {
  if (!at::hasMKLDNN()) return false;
  const at::Tensor probe = at::ones({2, 2}, at::kFloat), out = at::zeros({2, 2}, at::kFloat);
  try {
    at::native::mkldnn_matmul(probe, probe, out, /*beta=*/0, /*alpha=*/1);
  } catch (const c10::Error&) {
    return false;
  }
  return true;
}

bool IsBFloat16(const at::Tensor& tensor) { return tensor.scalar_type() == at::kBFloat16; }

bool IsForOneDnn(const at::Tensor& a, const at::Tensor& b) {
  static const bool works = OneDnnWorks();
  return works && a.is_cpu() && a.scalar_type() == at::kFloat &&
         a.numel() * b.size(1) >= kOneDnnProductsMin;
}

}  // namespace

void MatMul(const at::Tensor& a, const at::Tensor& b, MatMulTo to, const at::Tensor& out) {
  const c10::NoGradGuard no_grad;
  const bool adds = to == MatMulTo::kAdd;
  if (IsBFloat16(a) || IsBFloat16(b)) {
    const at::Tensor product = Product(a, b);
    if (adds && out.is_cpu()) {
      AddRows(product.const_data_ptr<c10::BFloat16>(), {product.size(0), product.size(1)},
              out.mutable_data_ptr<float>());
    } else {
      adds ? out.add_(product) : out.copy_(product);
    }
    return;
  }
  if (IsForOneDnn(a, b)) {
    at::native::mkldnn_matmul(a, b, out, adds ? 1 : 0, /*alpha=*/1);
    return;
  }
  at::Tensor into = out;
  if (adds) {
    at::addmm_out(into, out, a, b);
  } else {
    at::mm_out(into, a, b);
  }
}

at::Tensor Product(const at::Tensor& a, const at::Tensor& b) {
  if (!IsBFloat16(a) && !IsBFloat16(b)) return MatMul(a, b);
  const c10::NoGradGuard no_grad;
  return at::mm(a.to(at::kBFloat16), b.to(at::kBFloat16));
}

at::Tensor MatMul(const at::Tensor& a, const at::Tensor& b) {
  at::Tensor out =
      at::empty({a.size(0), b.size(1)}, at::TensorOptions(at::kFloat).device(a.device()));
  MatMul(a, b, MatMulTo::kOut, out);
  return out;
}

at::Tensor AsFactor(const at::Tensor& values, const at::Tensor& weight) {
  return IsBFloat16(weight) ? values.to(at::kBFloat16) : values;
}

}  // namespace halcyon::model
