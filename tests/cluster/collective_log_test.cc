#include "cluster/collective_log.h"

#include <gtest/gtest.h>

namespace halcyon::cluster {
namespace {

TEST(CollectiveLog, NamesTheOldest) {
  CollectiveLog log;
  EXPECT_TRUE(log.is_idle());
  EXPECT_EQ(log.Oldest(), "");
  EXPECT_EQ(log.Start(CollectiveName("all-gather", Group::kNode, "block.3"), {}, 0), 1u);
  EXPECT_EQ(log.Start(CollectiveName("reduce-scatter", Group::kAll, "head"), {}, 0), 2u);
  EXPECT_EQ(log.Oldest(), "all-gather in the node of block.3, number 1");
  log.EndOldest(5, 1);
  EXPECT_EQ(log.Oldest(), "reduce-scatter of head, number 2");
  log.EndOldest(5, 1);
  EXPECT_TRUE(log.is_idle());
  EXPECT_EQ(CollectiveName("all-gather", Group::kAcrossNodes, "x"), "all-gather across nodes of x");
}

TEST(CollectiveLog, CurrentCountsTheSecondsOfTheOldest) {
  CollectiveLog log;
  EXPECT_EQ(log.Current(5000), "");
  log.Start("a", {}, 100);
  log.Start("b", {}, 200);
  EXPECT_EQ(log.Current(1099), "a, number 1");
  EXPECT_EQ(log.Current(12'100), "a, number 1, for 12 s");
  log.EndOldest(0, 12'100);
  EXPECT_EQ(log.Current(12'200), "b, number 2");
}

// Time counts from when a collective became the oldest: before, it waited for those before it.
TEST(CollectiveLog, SaysWhenTheOldestIsOverdue) {
  CollectiveLog log;
  EXPECT_EQ(log.Overdue(1'000'000, 2000), 0u);
  log.Start("a", {}, 100);
  log.Start("b", {}, 200);
  EXPECT_EQ(log.Overdue(2099, 2000), 0u);
  EXPECT_EQ(log.Overdue(2100, 2000), 1u);
  EXPECT_EQ(log.NotEnded(2000, "rank 3 is gone"),
            "a, number 1 has not ended within 2 s: rank 3 is gone");
  log.EndOldest(0, 2050);
  EXPECT_EQ(log.Overdue(4049, 2000), 0u);
  EXPECT_EQ(log.Overdue(4050, 2000), 2u);
  log.RestartClock(4050);
  EXPECT_EQ(log.Overdue(6049, 2000), 0u);
  EXPECT_EQ(log.Overdue(6050, 2000), 2u);
  log.EndOldest(0, 6060);
  EXPECT_EQ(log.Overdue(9000, 2000), 0u);
  log.Start("c", {}, 9000);
  EXPECT_EQ(log.Overdue(10'999, 2000), 0u);
}

TEST(CollectiveLog, CountsCostsSinceTheyWereTaken) {
  CollectiveLog log;
  log.Start("a", {.part_bytes = 8, .received_bytes = 24}, 0);
  log.Start("b", {.part_bytes = 8, .received_bytes = 0}, 0);
  log.EndOldest(7, 0);
  log.EndOldest(4, 0);
  log.AddWaited(3);
  log.AddCpu(2);
  const CollectiveFigures figures = log.TakeFigures();
  EXPECT_EQ(figures.collectives, 2u);
  EXPECT_EQ(figures.bytes, 24u);
  EXPECT_EQ(figures.busy_us, 11);
  EXPECT_EQ(figures.waited_us, 3);
  EXPECT_EQ(figures.cpu_us, 2);
  EXPECT_EQ(log.TakeFigures().busy_us, 0);
}

TEST(CollectiveLog, TheDigestTellsOrdersApart) {
  const auto digest = [](std::initializer_list<std::pair<const char*, uint64_t>> order) {
    CollectiveLog log;
    for (const auto& [name, bytes] : order) {
      // What a rank receives and when it starts is its own.
      log.Start(name, {.part_bytes = bytes, .received_bytes = bytes * 3}, 17);
    }
    return log.order_digest();
  };
  EXPECT_EQ(digest({{"a", 4}, {"b", 8}}), digest({{"a", 4}, {"b", 8}}));
  EXPECT_NE(digest({{"a", 4}, {"b", 8}}), digest({{"b", 8}, {"a", 4}}));
  EXPECT_NE(digest({{"a", 4}}), digest({{"a", 8}}));
  EXPECT_NE(digest({{"a", 4}}), digest({{"a", 4}, {"a", 4}}));
}

}  // namespace
}  // namespace halcyon::cluster
