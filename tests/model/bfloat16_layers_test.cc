// Layers whose factors are bfloat16 (docs/precision.md): what they keep and hand on between their
// products is rounded, and nothing else is.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "model/causal_attention.h"
#include "model/fused_layers.h"
#include "model/kernels/matmul.h"
#include "model/kernels/row_lanes.h"
#include "model/token_loss.h"
#include "tests/model/composed_check.h"

namespace halcyon::model {
namespace {

using Function = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

// The last `rounded` inputs are bfloat16 weights. float64's composed form is the reference: each
// rounding is 2^-9 of a number at most, and a result passes few of them.
void ExpectAgreesInBFloat16(std::vector<at::Tensor> inputs, size_t rounded,
                            const Function& function) {
  std::vector<at::Tensor> leaves;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const bool is_rounded = i + rounded >= inputs.size();
    if (is_rounded) inputs[i] = inputs[i].to(at::kBFloat16).to(at::kFloat);
    const auto type = is_rounded ? at::kBFloat16 : at::kFloat;
    leaves.push_back(inputs[i].to(type).clone().requires_grad_(true));
  }
  const at::Tensor value = function(leaves);
  (value * Draw(value.sizes().vec(), 99)).sum().backward();
  std::vector<at::Tensor> results = {value.detach()};
  for (const at::Tensor& leaf : leaves) results.push_back(leaf.grad());
  const auto expected = ValueAndGradients(inputs, at::kDouble, function);
  for (size_t i = 0; i < results.size(); ++i) {
    const double size = expected[i].abs().max().item<double>();
    const double error = (results[i].to(at::kDouble) - expected[i]).abs().max().item<double>();
    EXPECT_LT(error, 0.02 * (0.1 + size)) << (i == 0 ? "value" : "gradient ") << i;
    EXPECT_GT(size, 0.1);
  }
}

TEST(BFloat16Lanes, RoundAsTheScalarTypeDoes) {
  std::vector<float> values = {0.0f,
                               -0.0f,
                               1.0f,
                               1.00390625f,
                               1.01171875f,
                               -1.00390625f,
                               3e38f,
                               std::numeric_limits<float>::max(),
                               1e-40f,
                               std::numeric_limits<float>::infinity(),
                               -std::numeric_limits<float>::infinity()};
  for (const float drawn : {0.37f, 1.7f, -12.3f, 1e-3f, 123456.0f}) values.push_back(drawn);
  std::vector<c10::BFloat16> rounded(values.size());
  std::vector<float> back(values.size());
  Convert(values.data(), static_cast<int64_t>(values.size()), rounded.data());
  Convert(rounded.data(), static_cast<int64_t>(values.size()), back.data());
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(rounded[i].x, c10::BFloat16(values[i]).x) << values[i];
    EXPECT_EQ(back[i], static_cast<float>(c10::BFloat16(values[i])));
  }
  const std::vector<float> nan(8, std::numeric_limits<float>::quiet_NaN());
  Convert(nan.data(), 8, rounded.data());
  EXPECT_TRUE(std::isnan(static_cast<float>(rounded[7])));
}

TEST(BFloat16Layers, ProductsAreRoundedOnceAndAddedInFloat) {
  const at::Tensor a = Draw({70, 90}, 1).to(at::kBFloat16), b = Draw({50, 90}, 2);
  const at::Tensor exact = at::mm(a.to(at::kDouble), b.to(at::kBFloat16).to(at::kDouble).t());
  const at::Tensor product = Product(a, b.t());
  EXPECT_EQ(product.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(product.to(at::kFloat), MatMul(a, b.t())));
  EXPECT_LT(((product.to(at::kDouble) - exact) / (exact.abs() + 0.1)).abs().max().item<double>(),
            1.01 / 256);
  at::Tensor sum = Draw({70, 50}, 3);
  const at::Tensor expected = sum + product.to(at::kFloat);
  MatMul(a, b.t(), MatMulTo::kAdd, sum);
  EXPECT_TRUE(at::equal(sum, expected));
}

TEST(BFloat16Layers, LinearAndLinearAdd) {
  ExpectAgreesInBFloat16({Draw({65, 40}, 1), Draw({30, 40}, 2), Draw({30}, 3)}, 2,
                         [](const auto& in) { return LinearRows(in[0], in[1], in[2]); });
  ExpectAgreesInBFloat16({Draw({33, 20}, 1), Draw({33, 12}, 3), Draw({12, 20}, 2)}, 1,
                         [](const auto& in) { return LinearAdd(in[0], in[2], in[1]); });
}

TEST(BFloat16Layers, NormedLinearsIntoGatedLinearAdd) {
  ExpectAgreesInBFloat16(
      {Draw({130, 37}, 1), Draw({37}, 2), Draw({19, 37}, 3), Draw({19, 37}, 4), Draw({37, 19}, 5)},
      4, [](const auto& in) {
        const auto inner = NormedLinears(in[0], in[1], 0.01, {in[2], in[3]});
        EXPECT_EQ(inner[0].scalar_type(), in[2].scalar_type());
        return GatedLinearAdd(inner[0], inner[1], in[4], in[0]);
      });
}

TEST(BFloat16Layers, AttentionComputesInFloat32) {
  const at::Tensor angle = Draw({1, 60, 1, 5}, 4), cosine = angle.cos(), sine = angle.sin();
  std::vector<at::Tensor> rounded, wide;
  for (uint64_t i = 0; i < 3; ++i) {
    rounded.push_back(Draw({120, 30}, i).to(at::kBFloat16).requires_grad_(true));
    wide.push_back(rounded[i].detach().to(at::kFloat).requires_grad_(true));
  }
  const at::Tensor out = CausalAttention({rounded[0], rounded[1], rounded[2]}, 2, 3, cosine, sine);
  const at::Tensor exact = CausalAttention({wide[0], wide[1], wide[2]}, 2, 3, cosine, sine);
  EXPECT_TRUE(at::equal(out, exact.to(at::kBFloat16)));
  const at::Tensor gradient = Draw({120, 30}, 7).to(at::kBFloat16);
  (out * gradient).sum().backward();
  (exact * gradient.to(at::kFloat)).sum().backward();
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(at::equal(rounded[i].grad(), wide[i].grad().to(at::kBFloat16))) << i;
  }
}

TEST(BFloat16Layers, TokenLoss) {
  const at::Tensor labels = at::arange(90, at::kLong) * 7, weights = Draw({90}, 5).abs();
  const int64_t vocab = 50000;  // so wide that 90 rows are parts
  ExpectAgreesInBFloat16({Draw({90, 12}, 1), Draw({vocab, 12}, 2)}, 1, [&](const auto& in) {
    const auto type = in[0].scalar_type();
    return WeightedTokenLoss(in[0], in[1], labels, weights.to(type)).total;
  });
}

}  // namespace
}  // namespace halcyon::model
