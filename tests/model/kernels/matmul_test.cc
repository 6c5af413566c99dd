#include "model/kernels/matmul.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/model/composed_check.h"

namespace halcyon::model {
namespace {

TEST(MatMul, AddsAndTransposesAtAnySize) {
  for (const int64_t size : {1, 7, 130}) {  // the last is large enough for oneDNN
    const at::Tensor a = Draw({size, 90}, 1), b = Draw({140, 90}, 2);
    const at::Tensor expected = at::mm(a.to(at::kDouble), b.to(at::kDouble).t());
    at::Tensor out = MatMul(a, b.t());
    EXPECT_LT((out - expected).abs().max().item<double>(), 1e-4);
    MatMul(a, b.t(), MatMulTo::kAdd, out);
    EXPECT_LT((out - 2 * expected).abs().max().item<double>(), 1e-4);
    const at::Tensor inner = at::mm(a.t().to(at::kDouble), out.to(at::kDouble));
    EXPECT_LT((MatMul(a.t(), out) - inner).abs().max().item<double>(),
              1e-5 * (1 + inner.abs().max().item<double>()));
  }
}

}  // namespace
}  // namespace halcyon::model
