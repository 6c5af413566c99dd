#include "worker/training/batch_plan.h"

#include <gtest/gtest.h>

#include <map>

namespace halcyon::worker {
namespace {

constexpr uint64_t kStep = 3;

// Item of every slot that counts, as all ranks together take them in one step.
std::map<uint64_t, uint64_t> ItemsBySlot(uint64_t batch, uint64_t micro_batch, uint64_t ranks,
                                         const pipeline::MixtureOrder& order) {
  std::map<uint64_t, uint64_t> items;
  for (uint64_t rank = 0; rank < ranks; ++rank) {
    for (const MicroBatch& pass : PlanBatch({batch, micro_batch, rank, ranks}, order, kStep)) {
      EXPECT_EQ(pass.step, kStep);
      EXPECT_EQ(pass.divisor, static_cast<double>(batch));
      for (size_t i = 0; i < pass.slots.size(); ++i) {
        if (pass.weights[i] == 0) continue;
        EXPECT_EQ(pass.weights[i], 1);
        EXPECT_TRUE(items.emplace(pass.slots[i], pass.items[i]).second) << "slot taken twice";
      }
    }
  }
  return items;
}

TEST(BatchPlanTest, EverySlotIsTakenOnceAndIsTheSameSampleWhateverTheRanks) {
  const pipeline::MixtureOrder order(/*seed=*/5, {{.items = 23}});
  constexpr uint64_t kBatch = 7;
  std::map<uint64_t, uint64_t> expected;
  for (uint64_t slot = 0; slot < kBatch; ++slot) {
    expected[slot] = order.ItemAt(kStep * kBatch + slot);
  }
  for (const uint64_t ranks : {1, 2, 3, 5, 9}) {
    for (const uint64_t micro_batch : {0, 1, 2, 7}) {
      EXPECT_EQ(ItemsBySlot(kBatch, micro_batch, ranks, order), expected)
          << ranks << " ranks, micro-batches of " << micro_batch;
    }
  }
}

TEST(BatchPlanTest, AllRanksMakePassesOfTheSameSizes) {
  const pipeline::MixtureOrder order(5, {{.items = 23}});
  for (const uint64_t micro_batch : {0, 2}) {
    const auto first = PlanBatch({7, micro_batch, 0, 3}, order, kStep);
    ASSERT_EQ(first.size(), micro_batch == 0 ? 1 : 2);
    for (uint64_t rank = 1; rank < 3; ++rank) {
      const auto other = PlanBatch({7, micro_batch, rank, 3}, order, kStep);
      ASSERT_EQ(other.size(), first.size());
      for (size_t i = 0; i < first.size(); ++i) {
        EXPECT_EQ(other[i].slots.size(), first[i].slots.size());
      }
    }
  }
}

}  // namespace
}  // namespace halcyon::worker
