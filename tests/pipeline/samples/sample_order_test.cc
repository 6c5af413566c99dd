#include "pipeline/samples/sample_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace halcyon::pipeline {
namespace {

std::vector<uint64_t> Pass(const SampleOrder& order, uint64_t pass) {
  std::vector<uint64_t> items;
  for (uint64_t i = 0; i < order.items(); ++i) {
    items.push_back(order.ItemAt(pass * order.items() + i));
  }
  return items;
}

TEST(SampleOrder, EachPassVisitsEachItemOnce) {
  for (uint64_t items = 1; items <= 300; ++items) {
    const SampleOrder order(9, items);
    for (uint64_t pass : {0, 1, 2, 1000}) {
      std::vector<bool> seen(items);
      for (const uint64_t item : Pass(order, pass)) {
        ASSERT_LT(item, items);
        ASSERT_FALSE(seen[item]) << items << " items, pass " << pass;
        seen[item] = true;
      }
    }
  }
}

// A long training on few items: more passes than 32 bits count.
TEST(SampleOrder, PassesDoNotRunOut) {
  const SampleOrder order(9, 100);
  const uint64_t far = uint64_t{1} << 32;
  EXPECT_NE(Pass(order, far), Pass(order, 0));
  EXPECT_NE(Pass(order, far), Pass(order, 2 * far));
  std::vector<uint64_t> sorted = Pass(order, far + 7);
  std::sort(sorted.begin(), sorted.end());
  for (uint64_t item = 0; item < 100; ++item) EXPECT_EQ(sorted[item], item);
}

TEST(SampleOrder, PassesAndSeedsDiffer) {
  const SampleOrder order(9, 100);
  EXPECT_NE(Pass(order, 0), Pass(order, 1));
  EXPECT_NE(Pass(order, 1), Pass(order, 2));
  EXPECT_NE(Pass(order, 0), Pass(SampleOrder(10, 100), 0));
}

// Each of 5 items at each of 5 places in 2000 passes: 25 counts of mean 400. Five standard errors
// of a binomial with p = 1/5 are 89: a uniform order fails once in ~60,000 seeds.
TEST(SampleOrder, SmallPermutationsAreUniform) {
  constexpr uint64_t kItems = 5, kPasses = 2000;
  const SampleOrder order(3, kItems);
  std::vector<int> count(kItems * kItems);
  for (uint64_t pass = 0; pass < kPasses; ++pass) {
    const std::vector<uint64_t> items = Pass(order, pass);
    for (uint64_t i = 0; i < kItems; ++i) ++count[i * kItems + items[i]];
  }
  for (const int c : count) EXPECT_NEAR(c, 400, 89);
}

TEST(SampleOrder, WorksOnLargeDomains) {
  for (const uint64_t items : {uint64_t{1} << 32, (uint64_t{1} << 40) + 1, uint64_t{1} << 62}) {
    const SampleOrder order(1, items);
    EXPECT_LT(order.ItemAt(0), items);
    EXPECT_LT(order.ItemAt(items - 1), items);
    EXPECT_NE(order.ItemAt(0), order.ItemAt(1));
  }
}

// The order is part of what makes a run reproducible: if this fails, resumed runs differ.
TEST(SampleOrder, IsPinned) {
  EXPECT_EQ(Pass(SampleOrder(1, 10), 0), (std::vector<uint64_t>{1, 2, 7, 3, 5, 0, 8, 4, 6, 9}));
  EXPECT_EQ(Pass(SampleOrder(1, 10), 1), (std::vector<uint64_t>{2, 7, 5, 6, 8, 3, 0, 4, 9, 1}));
  EXPECT_EQ(SampleOrder(42, 1000000).ItemAt(123456789), 277943u);
}

}  // namespace
}  // namespace halcyon::pipeline
