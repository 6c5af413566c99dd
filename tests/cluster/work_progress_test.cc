#include "cluster/work_progress.h"

#include <gtest/gtest.h>

#include "cluster/collective_log.h"

namespace halcyon::cluster {
namespace {

TEST(WorkProgress, AgesUntilItsThreadGoesOn) {
  SimulatedClock clock(5000);
  WorkProgress progress(&clock);
  EXPECT_EQ(progress.Now(), (Activity{"starting"}));
  clock.AdvanceMs(700);
  EXPECT_EQ(progress.Now().age_ms, 700);
  progress.BeginStep(12);
  EXPECT_EQ(progress.Now().age_ms, 700) << "the number of a step alone is no work";
  progress.Enter(WorkPhase::kForward, "block.3");
  EXPECT_EQ(progress.Now(), (Activity{"forward", "block.3", 12, 1, 0}));
  clock.AdvanceMs(40);
  progress.Advance();
  clock.AdvanceMs(2);
  EXPECT_EQ(progress.Now(), (Activity{"forward", "block.3", 12, 2, 2}));
  progress.EndSteps();
  EXPECT_EQ(progress.Now().step, -1);
}

TEST(WorkProgress, IsTheCollectiveWhileItsThreadWaitsForOne) {
  SimulatedClock clock(5000);
  WorkProgress progress(&clock);
  CollectiveLog log;
  progress.Enter(WorkPhase::kBackward, "block.2");
  log.Start("all-gather of block.1", {}, 5100);
  clock.AdvanceMs(300);
  EXPECT_EQ(progress.Now(log.Standing()), (Activity{"backward", "block.2", -1, 2, 200, 1, 1}))
      << "started ahead, and not waited for";
  log.BeginWait();
  EXPECT_EQ(progress.Now(log.Standing()),
            (Activity{"collective", "all-gather of block.1", -1, 2, 200, 1, 1}));
  log.EndOldest(0, 5350);
  log.EndWait(5350);
  clock.AdvanceMs(100);
  EXPECT_EQ(progress.Now(log.Standing()), (Activity{"backward", "block.2", -1, 3, 50, 1, 0}));
}

TEST(WorkProgress, IsDescribedForPeople) {
  EXPECT_EQ(Describe({}), "");
  EXPECT_EQ(Describe({"idle"}), "idle");
  EXPECT_EQ(Describe({"task", "tokens/3", -1, 1, 999}), "tokens/3");
  EXPECT_EQ(Describe({"forward", "block.3", 50, 1, 12'999}), "step 50: forward block.3, for 12 s");
  EXPECT_EQ(Describe({"collective", "reduce-scatter of block.2", 50, 1, 0, 918, 917}),
            "step 50: reduce-scatter of block.2, number 917");
}

}  // namespace
}  // namespace halcyon::cluster
