#include "worker/fsdp/unit_order.h"

#include <gtest/gtest.h>

namespace halcyon::worker {
namespace {

using Phase = UnitOrder::Phase;
using Use = UnitOrder::Use;

const std::vector<Use> kPass = {{Phase::kForward, 0},  {Phase::kForward, 1},
                                {Phase::kForward, 2},  {Phase::kBackward, 2},
                                {Phase::kBackward, 1}, {Phase::kBackward, 0}};

// What Next gives for each use of a pass; -1: nothing.
std::vector<int> Follow(UnitOrder& order, const std::vector<Use>& uses) {
  std::vector<int> next;
  order.BeginPass();
  for (const Use& use : uses) {
    const auto following = order.Next(use);
    next.push_back(following ? static_cast<int>(following->unit) : -1);
  }
  order.EndPass();
  return next;
}

TEST(UnitOrder, KnowsNothingInTheFirstPass) {
  UnitOrder order;
  EXPECT_FALSE(order.is_recorded());
  EXPECT_EQ(Follow(order, kPass), (std::vector<int>{-1, -1, -1, -1, -1, -1}));
  EXPECT_TRUE(order.is_recorded());
}

TEST(UnitOrder, NamesTheFollowingUnitInLaterPasses) {
  UnitOrder order;
  Follow(order, kPass);
  for (int pass = 0; pass < 3; ++pass) {
    EXPECT_EQ(Follow(order, kPass), (std::vector<int>{1, 2, 2, 1, 0, -1}));
  }
}

TEST(UnitOrder, TurnsAtTheUnitWhoseBackwardFollowsItsForward) {
  UnitOrder order;
  EXPECT_FALSE(order.TurnsAt(2));
  Follow(order, kPass);
  EXPECT_FALSE(order.TurnsAt(0));
  EXPECT_FALSE(order.TurnsAt(1));
  EXPECT_TRUE(order.TurnsAt(2));
}

TEST(UnitOrder, ADifferentPassStopsAdviceAndIsRecorded) {
  UnitOrder order;
  Follow(order, kPass);
  const std::vector<Use> other = {
      {Phase::kForward, 0}, {Phase::kForward, 2}, {Phase::kBackward, 2}};
  EXPECT_EQ(Follow(order, other), (std::vector<int>{1, -1, -1}));
  EXPECT_EQ(Follow(order, other), (std::vector<int>{2, 2, -1}));
}

TEST(UnitOrder, AShorterOrLongerPassIsRecordedAnew) {
  UnitOrder order;
  Follow(order, kPass);
  const std::vector<Use> shorter(kPass.begin(), kPass.begin() + 2);
  EXPECT_EQ(Follow(order, shorter), (std::vector<int>{1, 2}));
  EXPECT_EQ(Follow(order, kPass), (std::vector<int>{1, -1, -1, -1, -1, -1}));
  EXPECT_EQ(Follow(order, kPass), (std::vector<int>{1, 2, 2, 1, 0, -1}));
}

}  // namespace
}  // namespace halcyon::worker
