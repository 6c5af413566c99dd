// The GPU's form of the argmax, run by 64 threads that wait for each other at a barrier.
#include "model/argmax_tile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include "base/philox.h"

namespace halcyon::model {
namespace {

class ThreadBlock {
 public:
  ThreadBlock(int index, std::barrier<>* barrier) : index_(index), barrier_(barrier) {}
  int index() const { return index_; }
  void Sync() const { barrier_->arrive_and_wait(); }
  void RaiseTo(uint64_t* place, uint64_t key) const {
    std::atomic_ref<uint64_t> value(*place);
    uint64_t seen = value.load();
    while (seen < key && !value.compare_exchange_weak(seen, key)) {
    }
  }

 private:
  int index_;
  std::barrier<>* barrier_;
};

// The blocks of a launch, one after another: all rows, `columns` of the table's rows in each.
std::vector<int64_t> Launch(const ArgmaxProblem& problem, int64_t columns) {
  std::vector<uint64_t> keys(problem.row_count, 0);
  ArgmaxShared shared;
  for (int64_t row = 0; row < problem.row_count; row += kArgmaxTile) {
    for (int64_t first = 0; first < problem.vocab; first += columns) {
      std::barrier barrier(kArgmaxLanes);
      std::vector<std::jthread> lanes;
      for (int lane = 0; lane < kArgmaxLanes; ++lane) {
        lanes.emplace_back([&, lane] {
          ArgmaxOfTile(ThreadBlock(lane, &barrier), problem, row, first,
                       std::min(first + columns, problem.vocab), shared, keys.data());
        });
      }
    }
  }
  std::vector<int64_t> best;
  for (const uint64_t key : keys) best.push_back(IndexOfArgmaxKey(key));
  return best;
}

// Whole numbers: exact products, and ties.
std::vector<float> WholeNumbers(int64_t count, uint64_t seed) {
  std::vector<float> values(count);
  PhiloxStream(seed, NoiseStream::kEvaluation, 0, 0).FillNormal(0, values);
  for (float& value : values) value = std::floor(2 * value);
  return values;
}

TEST(ArgmaxTileTest, FindsTheLowestIndexOfTheLargest) {
  // Neither rows nor columns nor width fill their last tile.
  const int64_t row_count = 70, vocab = 300, width = 21;
  const std::vector<float> rows = WholeNumbers(row_count * width, 1);
  const std::vector<float> table = WholeNumbers(vocab * width, 2);
  std::vector<int64_t> expected;
  for (int64_t r = 0; r < row_count; ++r) {
    double best = -std::numeric_limits<double>::infinity();
    expected.push_back(0);
    for (int64_t v = 0; v < vocab; ++v) {
      double sum = 0;
      for (int64_t i = 0; i < width; ++i) sum += rows[r * width + i] * table[v * width + i];
      if (sum > best) expected.back() = v;
      best = std::max(best, sum);
    }
  }
  const ArgmaxProblem problem = {rows.data(), table.data(), row_count, vocab, width};
  EXPECT_EQ(Launch(problem, 128), expected);
  EXPECT_EQ(Launch(problem, 512), expected);
}

// The zeros that fill up the last tile are no candidates.
TEST(ArgmaxTileTest, FindsTheLargestOfNegativeNumbers) {
  const std::vector<float> rows(5, 1.0f);
  const std::vector<float> table = {-4, -3, -2, -2, -9, -7, -5};
  const ArgmaxProblem problem = {rows.data(), table.data(), 5, 7, 1};
  EXPECT_EQ(Launch(problem, 512), std::vector<int64_t>(5, 2));
}

TEST(ArgmaxTileTest, KeysOrderLikeNumbersAndThenByIndex) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> rising = {-kInfinity, -3e38f, -1,        -1e-40f,   0,
                                     1e-40f,     0.5f,   3.402e38f, kInfinity, kNan};
  EXPECT_GT(ArgmaxKey(rising[0], UINT32_MAX), 0);
  for (size_t i = 1; i < rising.size(); ++i) {
    EXPECT_GT(ArgmaxKey(rising[i], 9), ArgmaxKey(rising[i - 1], 3)) << rising[i];
  }
  for (const float value : rising) {
    EXPECT_GT(ArgmaxKey(value, 3), ArgmaxKey(value, 4));
    EXPECT_EQ(IndexOfArgmaxKey(ArgmaxKey(value, 123456789)), 123456789);
  }
  EXPECT_EQ(ArgmaxKey(-0.0f, 5), ArgmaxKey(0.0f, 5));
  EXPECT_EQ(ArgmaxKey(-kNan, 5), ArgmaxKey(kNan, 5));
}

}  // namespace
}  // namespace halcyon::model
