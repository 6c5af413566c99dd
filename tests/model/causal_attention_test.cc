#include "model/causal_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/model/composed_check.h"

namespace halcyon::model {
namespace {

struct Shape {
  int64_t batch, steps, heads, half, tables;
};

std::vector<at::Tensor> InputsOf(const Shape& shape) {
  const int64_t rows = shape.batch * shape.steps, hidden = shape.heads * 2 * shape.half;
  return {Draw({rows, hidden}, 1), Draw({rows, hidden}, 2), Draw({rows, hidden}, 3)};
}

at::Tensor Attend(const std::vector<at::Tensor>& in, const Shape& shape,
                  const at::Tensor& first_visible = {}) {
  const at::Tensor angle = Draw({shape.tables, shape.steps, 1, shape.half}, 4);
  const at::ScalarType type = in[0].scalar_type();
  return CausalAttention({in[0], in[1], in[2]}, shape.batch, shape.heads, at::cos(angle).to(type),
                         at::sin(angle).to(type), first_visible);
}

// Documents of 1, 2, 3, ... steps, in the second sequence one step later.
at::Tensor FirstVisible(const Shape& shape) {
  at::Tensor first = at::zeros({shape.batch, shape.steps}, at::kLong);
  for (int64_t b = 0; b < shape.batch; ++b) {
    for (int64_t begin = b, length = 1; begin < shape.steps; begin += length++) {
      first[b].narrow(0, begin, std::min(length, shape.steps - begin)).fill_(begin);
    }
  }
  return first;
}

class CausalAttentionOf : public testing::TestWithParam<Shape> {};

TEST_P(CausalAttentionOf, AgreesWithItsComposedFormInFloat64) {
  ExpectAgrees(InputsOf(GetParam()), [](const auto& in) { return Attend(in, GetParam()); });
}

TEST_P(CausalAttentionOf, OfDocumentsAgreesWithItsComposedFormInFloat64) {
  const at::Tensor first = FirstVisible(GetParam());
  ExpectAgrees(InputsOf(GetParam()), [&](const auto& in) { return Attend(in, GetParam(), first); });
}

TEST_P(CausalAttentionOf, GivesTheSameBitsOnAnyThreads) {
  const auto all = [] {
    return ValueAndGradients(InputsOf(GetParam()), at::kFloat,
                             [](const auto& in) { return Attend(in, GetParam()); });
  };
  at::set_num_threads(3);
  const auto three = all();
  at::set_num_threads(1);
  const auto one = all();
  for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(at::equal(one[i], three[i])) << i;
}

// Steps on both sides of a group of 48 queries and of a tile, widths on both sides of a vector.
INSTANTIATE_TEST_SUITE_P(Shapes, CausalAttentionOf,
                         testing::Values(Shape{1, 1, 1, 1, 1}, Shape{2, 5, 3, 4, 2},
                                         Shape{1, 48, 2, 8, 1}, Shape{2, 49, 1, 11, 1},
                                         Shape{1, 130, 2, 32, 1}, Shape{2, 97, 2, 16, 2}));

// By hand, in double, from the definition: ATen's composed form has the same author as its kernels.
TEST(CausalAttention, IsTheSoftmaxOverTheStepsUpToItself) {
  const Shape shape = {1, 7, 1, 2, 1};
  const auto in = InputsOf(shape);
  const at::Tensor out = Attend(in, shape);
  const at::Tensor angle = Draw({1, 7, 1, 2}, 4);
  const auto turned = [&](const at::Tensor& rows, int64_t t, int64_t i) {
    const int64_t pair = i % 2;
    const double a = rows[t][pair].item<double>(), b = rows[t][pair + 2].item<double>();
    const double by = angle[0][t][0][pair].item<double>();
    return i < 2 ? a * std::cos(by) - b * std::sin(by) : b * std::cos(by) + a * std::sin(by);
  };
  for (int64_t t = 0; t < 7; ++t) {
    double sum = 0, mixed[4] = {};
    for (int64_t k = 0; k <= t; ++k) {
      double score = 0;
      for (int64_t i = 0; i < 4; ++i) score += turned(in[0], t, i) * turned(in[1], k, i);
      const double weight = std::exp(score / 2);
      sum += weight;
      for (int64_t i = 0; i < 4; ++i) mixed[i] += weight * in[2][k][i].item<double>();
    }
    for (int64_t i = 0; i < 4; ++i) EXPECT_NEAR(out[t][i].item<double>(), mixed[i] / sum, 1e-5);
  }
}

// Large scores: an exponential that is not taken relative to the largest one overflows.
TEST(CausalAttention, StaysFiniteWithLargeScores) {
  const Shape shape = {1, 50, 1, 4, 1};
  auto in = InputsOf(shape);
  in[0] = in[0] * 100;
  ExpectAgrees({in[2]}, [&](const auto& values) {
    const auto type = values[0].scalar_type();
    return Attend({in[0].to(type), in[1].to(type), values[0]}, shape);
  });
}

}  // namespace
}  // namespace halcyon::model
