#include "worker/training/batch_feeder.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>

namespace halcyon::worker {
namespace {

// A step has two passes; a pass's only item is its number, which is loaded as its token.
std::vector<MicroBatch> TwoPasses(uint64_t step) {
  std::vector<MicroBatch> passes(2);
  for (uint64_t i = 0; i < 2; ++i) {
    passes[i].step = step;
    passes[i].items = {2 * step + i};
  }
  return passes;
}

absl::StatusOr<BatchTensors> Token(const MicroBatch& plan) {
  return BatchTensors{at::full({1}, static_cast<int64_t>(plan.items[0]), at::kLong), {}};
}

TEST(BatchFeeder, GivesPassesInOrder) {
  BatchFeeder feeder(3, 6, TwoPasses, Token);
  for (uint64_t step = 3; step < 6; ++step) {
    for (uint64_t i = 0; i < 2; ++i) {
      const auto pass = feeder.Next();
      ASSERT_TRUE(pass.ok()) << pass.status();
      EXPECT_EQ(pass->plan.step, step);
      EXPECT_EQ(pass->tensors.tokens.item<int64_t>(), static_cast<int64_t>(2 * step + i));
      EXPECT_EQ(pass->is_last, i == 1);
    }
  }
  EXPECT_GE(feeder.TakeWaitedUs(), 0);
  EXPECT_EQ(feeder.TakeWaitedUs(), 0) << "counted once";
}

TEST(BatchFeeder, ReadsNoFurtherAheadThanItMay) {
  std::atomic<int> loads = 0;
  BatchFeeder feeder(0, 1000, TwoPasses, [&](const MicroBatch& plan) {
    ++loads;
    return Token(plan);
  });
  for (int taken = 1; taken <= 5; ++taken) {
    ASSERT_TRUE(feeder.Next().ok());
    // One that is read and finds no room.
    EXPECT_LE(loads, taken + static_cast<int>(kLoadedMax) + 1);
  }
}

TEST(BatchFeeder, AnErrorComesInThePlaceOfItsPass) {
  BatchFeeder feeder(0, 1000, TwoPasses,
                     [](const MicroBatch& plan) -> absl::StatusOr<BatchTensors> {
                       if (plan.items[0] == 3) return DataLoss("page 7");
                       return Token(plan);
                     });
  for (int pass = 0; pass < 3; ++pass) EXPECT_TRUE(feeder.Next().ok());
  EXPECT_EQ(MessageOf(feeder.Next().status()), "page 7");
}

TEST(BatchFeeder, EndsWithPassesUntaken) {
  BatchFeeder feeder(0, 1000, TwoPasses, Token);
  EXPECT_TRUE(feeder.Next().ok());
}

}  // namespace
}  // namespace halcyon::worker
