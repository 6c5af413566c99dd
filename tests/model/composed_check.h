// Holds layers with gradients of their own against the form composed of ATen's operations.
#ifndef HALCYON_TESTS_MODEL_COMPOSED_CHECK_H_
#define HALCYON_TESTS_MODEL_COMPOSED_CHECK_H_

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "model/noise.h"

namespace halcyon::model {

inline at::Tensor Draw(std::vector<int64_t> shape, uint64_t which) {
  const NoiseRows noise{4, NoiseStream::kEvaluation, which, {0}};
  return noise.Normal(shape).squeeze(0);
}

// Of every input, after the sum of `function` of these inputs times fixed numbers is
// differentiated.
inline std::vector<at::Tensor> ValueAndGradients(
    const std::vector<at::Tensor>& inputs, at::ScalarType type,
    const std::function<at::Tensor(const std::vector<at::Tensor>&)>& function) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& input : inputs) {
    leaves.push_back(input.to(type).clone().requires_grad_(true));
  }
  const at::Tensor value = function(leaves);
  (value * Draw(value.sizes().vec(), 99).to(type)).sum().backward();
  std::vector<at::Tensor> results = {value.detach()};
  for (const at::Tensor& leaf : leaves) results.push_back(leaf.grad());
  return results;
}

// In float64 the layers are composed of ATen's operations, which makes them the reference.
inline void ExpectAgrees(
    const std::vector<at::Tensor>& inputs,
    const std::function<at::Tensor(const std::vector<at::Tensor>&)>& function) {
  const auto fused = ValueAndGradients(inputs, at::kFloat, function);
  const auto composed = ValueAndGradients(inputs, at::kDouble, function);
  for (size_t i = 0; i < fused.size(); ++i) {
    ASSERT_TRUE(fused[i].defined() && composed[i].defined()) << i;
    const double size = composed[i].abs().max().item<double>();
    const double error = (fused[i] - composed[i]).abs().max().item<double>();
    EXPECT_LT(error, 1e-5 * (1 + size)) << (i == 0 ? "value" : "gradient ") << i;
  }
}

}  // namespace halcyon::model

#endif  // HALCYON_TESTS_MODEL_COMPOSED_CHECK_H_
