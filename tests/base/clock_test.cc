#include "base/clock.h"

#include <gtest/gtest.h>

#include <vector>

namespace halcyon {
namespace {

TEST(SimulatedClock, MovesOnlyWhenTold) {
  SimulatedClock clock(100);
  EXPECT_EQ(clock.MonotonicMs(), 100);
  clock.AdvanceMs(5);
  clock.SleepMs(7);
  EXPECT_EQ(clock.MonotonicMs(), 112);
  EXPECT_EQ(clock.WallMs(), 112);
}

TEST(ClockWaitFor, ReturnsAtOnceWhenTheConditionHolds) {
  SimulatedClock clock;
  EXPECT_TRUE(clock.WaitFor([] { return true; }, 1000));
  EXPECT_EQ(clock.MonotonicMs(), 0);
}

TEST(ClockWaitFor, PollsUntilTheConditionHolds) {
  SimulatedClock clock(50);
  std::vector<int64_t> asked_ms;
  const auto condition = [&] {
    asked_ms.push_back(clock.MonotonicMs());
    return clock.MonotonicMs() >= 85;
  };
  EXPECT_TRUE(clock.WaitFor(condition, 1000, /*poll_ms=*/20));
  EXPECT_EQ(asked_ms, (std::vector<int64_t>{50, 70, 90}));
}

TEST(ClockWaitFor, GivesUpAtTheTimeout) {
  SimulatedClock clock;
  EXPECT_FALSE(clock.WaitFor([] { return false; }, 100, /*poll_ms=*/30));
  EXPECT_EQ(clock.MonotonicMs(), 120);
}

TEST(ClockWaitFor, AsksOnceMoreAfterTheTimeout) {
  SimulatedClock clock;
  EXPECT_TRUE(clock.WaitFor([&] { return clock.MonotonicMs() == 100; }, 100, /*poll_ms=*/100));
  int asked = 0;
  EXPECT_TRUE(clock.WaitFor([&] { return ++asked == 2; }, 0));
}

TEST(RealClock, NeverGoesBackAndKnowsTheYear) {
  Clock* clock = Clock::Real();
  const int64_t first_ms = clock->MonotonicMs();
  clock->SleepMs(1);
  EXPECT_GT(clock->MonotonicMs(), first_ms);
  constexpr int64_t kYear2024Ms = 1704067200000;
  EXPECT_GT(clock->WallMs(), kYear2024Ms);
}

}  // namespace
}  // namespace halcyon
