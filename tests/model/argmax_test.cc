#include "model/argmax.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "model/noise.h"

namespace halcyon::model {
namespace {

at::Tensor Normals(std::vector<int64_t> shape, uint64_t seed) {
  return NoiseRows{seed, NoiseStream::kEvaluation, 0, {0}}.Normal(shape).squeeze(0);
}

// Small whole numbers: products are exact, whatever their order, and ties abound.
at::Tensor WholeNumbers(std::vector<int64_t> shape, uint64_t seed) {
  return at::floor(1.5 * Normals(std::move(shape), seed));
}

// The definition, number by number: the lowest index of the largest value.
std::vector<int64_t> FirstLargest(const at::Tensor& rows, const at::Tensor& table) {
  const at::Tensor logits = at::mm(rows.to(at::kDouble), table.to(at::kDouble).t());
  const auto values = logits.accessor<double, 2>();
  std::vector<int64_t> best(logits.size(0), 0);
  for (int64_t r = 0; r < logits.size(0); ++r) {
    for (int64_t v = 1; v < logits.size(1); ++v) {
      if (values[r][v] > values[r][best[r]]) best[r] = v;
    }
  }
  return best;
}

std::vector<int64_t> Values(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<int64_t>(), tensor.const_data_ptr<int64_t>() + tensor.numel()};
}

// Sizes on both sides of the tile's 256 rows and 2^18 numbers.
TEST(ArgmaxTest, FindsTheLargestOfEachRow) {
  for (const int64_t rows : {0, 1, 3, 255, 257, 600}) {
    for (const int64_t vocab : {1, 15, 1024, 2500}) {
      const at::Tensor hidden = Normals({rows, 24}, 1), table = Normals({vocab, 24}, 2);
      EXPECT_EQ(Values(BlockedArgmax(hidden, table)), FirstLargest(hidden, table))
          << rows << " rows, " << vocab << " tokens";
    }
  }
}

TEST(ArgmaxTest, AgreesWithAtensArgmaxOfTheMaterialisedProduct) {
  const at::Tensor hidden = Normals({700, 16}, 3), table = Normals({1111, 16}, 4);
  EXPECT_TRUE(at::equal(BlockedArgmax(hidden, table), at::mm(hidden, table.t()).argmax(1)));
}

TEST(ArgmaxTest, TakesTheLowestIndexAmongEquals) {
  // 512 rows make tiles of 1024 columns: ties within a tile and across tiles.
  const at::Tensor hidden = WholeNumbers({512, 3}, 5), table = WholeNumbers({3000, 3}, 6);
  EXPECT_EQ(Values(BlockedArgmax(hidden, table)), FirstLargest(hidden, table));
  EXPECT_EQ(Values(BlockedArgmax(at::zeros({2, 3}), table)), std::vector<int64_t>({0, 0}));
}

TEST(ArgmaxTest, TakesTheFirstNanLikeAtensArgmax) {
  for (const std::vector<int64_t>& places :
       {std::vector<int64_t>{0}, {1300}, {17, 20}, {1024, 2999}, {2999}}) {
    const at::Tensor hidden = Normals({300, 8}, 7);
    at::Tensor table = Normals({3000, 8}, 8);
    for (const int64_t place : places) {
      table[place][3] = std::numeric_limits<float>::quiet_NaN();
    }
    const at::Tensor found = BlockedArgmax(hidden, table);
    EXPECT_TRUE((found == places[0]).all().item<bool>()) << places[0];
    EXPECT_TRUE(at::equal(found, at::mm(hidden, table.t()).argmax(1)));
  }
}

TEST(ArgmaxTest, InfinitiesAreNumbersLikeOthers) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const at::Tensor hidden = at::ones({1, 1});
  const at::Tensor lowest = at::full({70, 1}, -kInfinity);
  EXPECT_EQ(Values(BlockedArgmax(hidden, lowest)), std::vector<int64_t>{0});
  lowest[33][0] = -1e30;
  EXPECT_EQ(Values(BlockedArgmax(hidden, lowest)), std::vector<int64_t>{33});
  lowest[66][0] = kInfinity;
  lowest[68][0] = kInfinity;
  EXPECT_EQ(Values(BlockedArgmax(hidden, lowest)), std::vector<int64_t>{66});
}

TEST(ArgmaxTest, TakesTensorsInAnyLayout) {
  const at::Tensor hidden = Normals({16, 40}, 9).t(), table = Normals({16, 50}, 10).t();
  EXPECT_EQ(Values(BlockedArgmax(hidden, table)), FirstLargest(hidden, table));
  at::Tensor learning = table.clone().requires_grad_(true);
  EXPECT_EQ(Values(BlockedArgmax(hidden, learning)), FirstLargest(hidden, table));
}

}  // namespace
}  // namespace halcyon::model
