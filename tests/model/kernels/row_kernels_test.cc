#include "model/kernels/row_kernels.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/philox.h"
#include "model/kernels/exponential.h"

namespace halcyon::model {
namespace {

std::vector<float> Draw(size_t size, uint64_t which) {
  std::vector<float> numbers(size);
  PhiloxStream(3, NoiseStream::kEvaluation, which, 0).FillNormal(0, numbers);
  return numbers;
}

// Runs on one thread and on three, and wants the same bits.
template <typename Work>
std::vector<float> OnAnyThreads(const Work& work) {
  at::set_num_threads(3);
  const std::vector<float> three = work();
  at::set_num_threads(1);
  const std::vector<float> one = work();
  EXPECT_EQ(one, three);
  return one;
}

TEST(Exponential, IsExactToAFewUnitsInTheLastPlace) {
  for (float x = -87; x < 88; x += 0.0137f) {
    Floats values = Floats{} + x;
    Exponential(values);
    EXPECT_NEAR(values[3] / std::exp(double{x}), 1, 2e-7) << x;
  }
}

TEST(Exponential, StaysFiniteAtTheEndsAndKeepsNan) {
  Floats values = {-1000, 1000, 0, std::numeric_limits<float>::quiet_NaN(), -87, 88, 1, -1};
  Exponential(values);
  EXPECT_LT(values[0], 2e-38f);
  EXPECT_GE(values[0], 0);
  EXPECT_TRUE(std::isfinite(values[1]));
  EXPECT_EQ(values[2], 1);
  EXPECT_TRUE(std::isnan(values[3]));
}

// [count, width]: no multiple of a vector, and more rows than a block.
struct Shape {
  int64_t count, width;
};

class RowKernels : public testing::TestWithParam<Shape> {
 protected:
  Rows rows() const { return {GetParam().count, GetParam().width}; }
  size_t size() const { return static_cast<size_t>(GetParam().count * GetParam().width); }
};

INSTANTIATE_TEST_SUITE_P(Shapes, RowKernels,
                         testing::Values(Shape{1, 1}, Shape{3, 7}, Shape{2, 16}, Shape{37, 24},
                                         Shape{70, 33}, Shape{130, 1100}));

TEST_P(RowKernels, RmsNormFollowsFloat64) {
  const auto [count, width] = GetParam();
  const auto x = Draw(size(), 1), weight = Draw(width, 2), gradient = Draw(size(), 3);
  const double epsilon = 0.01;
  std::vector<float> scale(count);
  const auto normed = OnAnyThreads([&] {
    std::vector<float> out(size());
    RmsNormForward(x.data(), weight.data(), rows(), epsilon, out.data(), scale.data());
    return out;
  });
  const auto gradients = OnAnyThreads([&] {
    std::vector<float> out(size() + width);
    RmsNormBackward(x.data(), weight.data(), scale.data(), gradient.data(), rows(), out.data(),
                    out.data() + size());
    return out;
  });
  std::vector<double> of_weight(width);
  for (int64_t r = 0; r < count; ++r) {
    const float* row = &x[r * width];
    double squares = 0, product = 0;
    for (int64_t i = 0; i < width; ++i) squares += double{row[i]} * row[i];
    const double s = 1 / std::sqrt(squares / width + epsilon);
    for (int64_t i = 0; i < width; ++i) {
      const double g = gradient[r * width + i];
      product += g * weight[i] * row[i];
      of_weight[i] += g * row[i] * s;
      EXPECT_NEAR(normed[r * width + i], row[i] * s * weight[i], 1e-5);
    }
    for (int64_t i = 0; i < width; ++i) {
      const double expected =
          s * (gradient[r * width + i] * weight[i] - row[i] * s * s * product / width);
      EXPECT_NEAR(gradients[r * width + i], expected, 1e-4 * (1 + std::abs(expected)));
    }
  }
  for (int64_t i = 0; i < width; ++i) {
    EXPECT_NEAR(gradients[size() + i], of_weight[i], 1e-4 * (1 + std::abs(of_weight[i])));
  }
}

TEST_P(RowKernels, GatedFollowsFloat64WithAStride) {
  const auto [count, width] = GetParam();
  const auto both = Draw(2 * size(), 1), gradient = Draw(size(), 2);
  const float *gate = both.data(), *value = both.data() + width;
  const auto out = OnAnyThreads([&] {
    std::vector<float> made(size());
    GatedForward(gate, value, rows(), 2 * width, made.data());
    return made;
  });
  const auto gradients = OnAnyThreads([&] {
    std::vector<float> made(2 * size()), again(size());
    GatedBackward(gate, value, gradient.data(), rows(), 2 * width, made.data(), made.data() + width,
                  again.data());
    EXPECT_EQ(again, out);
    return made;
  });
  for (int64_t r = 0; r < count; ++r) {
    for (int64_t i = 0; i < width; ++i) {
      const double g = gate[2 * r * width + i], v = value[2 * r * width + i];
      const double d = gradient[r * width + i], s = 1 / (1 + std::exp(-g));
      EXPECT_NEAR(out[r * width + i], g * s * v, 1e-6 * (1 + std::abs(g * v)));
      EXPECT_NEAR(gradients[2 * r * width + i], d * v * (s + g * s * (1 - s)), 1e-5);
      EXPECT_NEAR(gradients[(2 * r + 1) * width + i], d * g * s, 1e-5);
    }
  }
}

TEST_P(RowKernels, RotationTurnsPairsAndBack) {
  const auto [count, half] = GetParam();
  const int64_t heads = 3, table = 2;
  const auto angles = Draw(table * half, 1), in = Draw(2 * heads * size(), 2);
  std::vector<float> cosine, sine, back(in.size());
  for (const float angle : angles) {
    cosine.push_back(std::cos(angle));
    sine.push_back(std::sin(angle));
  }
  const Heads shape = {count, heads, half, table};
  const auto out = OnAnyThreads([&] {
    std::vector<float> made(in.size());
    RotateHeads(in.data(), cosine.data(), sine.data(), shape, 1, made.data());
    return made;
  });
  RotateHeads(out.data(), cosine.data(), sine.data(), shape, -1, back.data());
  for (int64_t r = 0; r < count; ++r) {
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t i = 0; i < half; ++i) {
        const size_t a = (r * heads + h) * 2 * half + i, b = a + half;
        const double angle = angles[r % table * half + i];
        EXPECT_NEAR(out[a], in[a] * std::cos(angle) - in[b] * std::sin(angle), 1e-5);
        EXPECT_NEAR(out[b], in[b] * std::cos(angle) + in[a] * std::sin(angle), 1e-5);
        EXPECT_NEAR(back[a], in[a], 1e-5);
        EXPECT_NEAR(back[b], in[b], 1e-5);
      }
    }
  }
}

TEST_P(RowKernels, CrossEntropyFollowsFloat64) {
  const auto [count, width] = GetParam();
  const auto logits = Draw(size(), 1), weights = Draw(count, 2);
  std::vector<int64_t> labels;
  for (int64_t r = 0; r < count; ++r) labels.push_back(r * 5 % width);
  std::vector<float> losses(count), correct(count);
  const auto gradients = OnAnyThreads([&] {
    std::vector<float> made = logits;
    CrossEntropyRows({labels.data(), weights.data()}, rows(), /*with_gradient=*/true, made.data(),
                     losses.data(), correct.data());
    return made;
  });
  for (int64_t r = 0; r < count; ++r) {
    const float* row = &logits[r * width];
    double sum = 0;
    for (int64_t i = 0; i < width; ++i) sum += std::exp(double{row[i]});
    EXPECT_NEAR(losses[r], std::log(sum) - row[labels[r]], 1e-5);
    EXPECT_EQ(correct[r], std::max_element(row, row + width) - row == labels[r]);
    for (int64_t i = 0; i < width; ++i) {
      const double expected = weights[r] * (std::exp(row[i]) / sum - (i == labels[r]));
      EXPECT_NEAR(gradients[r * width + i], expected, 1e-6 * (1 + std::abs(weights[r])));
    }
  }
}

TEST(CrossEntropyRows, LargeLogitsEqualOnesAndNan) {
  const int64_t label = 1;
  const float weight = 1, nan = std::numeric_limits<float>::quiet_NaN();
  const auto loss_of = [&](std::vector<float> row, float* correct) {
    float loss = 0;
    CrossEntropyRows({&label, &weight}, {1, static_cast<int64_t>(row.size())},
                     /*with_gradient=*/false, row.data(), &loss, correct);
    return loss;
  };
  float correct = 0;
  EXPECT_NEAR(loss_of({500, 600, -700}, &correct), 0, 1e-6);
  EXPECT_EQ(correct, 1);
  EXPECT_NEAR(loss_of({600, 500, -700}, &correct), 100, 1e-4);
  EXPECT_NEAR(loss_of({2, 2, 1}, &correct), std::log(2 + std::exp(-1.0)), 1e-6);
  EXPECT_EQ(correct, 0);  // the first of equals would be the answer
  EXPECT_TRUE(std::isnan(loss_of({0, 1, nan}, &correct)));
}

}  // namespace
}  // namespace halcyon::model
