#include "model/token_loss.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "tests/model/composed_check.h"

namespace halcyon::model {
namespace {

TEST(WeightedTokenLoss, AgreesWithTheComposedFormOverParts) {
  const int64_t vocab = 40000;  // so wide that 150 rows are three parts
  at::Tensor labels = at::arange(150, at::kLong) * 211, weights = Draw({150}, 5).abs();
  weights[3] = 0;
  ExpectAgrees({Draw({150, 12}, 1), Draw({vocab, 12}, 2)}, [&](const auto& in) {
    const auto type = in[0].scalar_type();
    const TokenLoss loss = WeightedTokenLoss(in[0], in[1], labels, weights.to(type));
    const at::Tensor logits = at::mm(in[0], in[1].t());
    const at::Tensor losses =
        at::cross_entropy_loss(logits, labels, {}, at::Reduction::None).detach();
    EXPECT_LT((loss.losses - losses).abs().max().template item<double>(), 1e-4);
    EXPECT_TRUE(
        (loss.correct == (logits.argmax(1) == labels).to(type)).all().template item<bool>());
    return loss.total * 0.7;  // another gradient than 1 comes back
  });
}

TEST(WeightedTokenLoss, WithoutGradients) {
  const c10::NoGradGuard no_grad;
  const at::Tensor rows = Draw({5, 3}, 1), table = Draw({11, 3}, 2);
  const at::Tensor labels = at::arange(5, at::kLong), weights = at::ones({5});
  const at::Tensor expected =
      at::cross_entropy_loss(at::mm(rows, table.t()), labels, {}, at::Reduction::Sum);
  EXPECT_NEAR(WeightedTokenLoss(rows, table, labels, weights).total.item<double>(),
              expected.item<double>(), 1e-5);
}

}  // namespace
}  // namespace halcyon::model
