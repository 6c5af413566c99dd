#include "cluster/failure_detector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/pause_detector.h"

namespace halcyon::cluster {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const WorkerId kAgent0{"agent-0", 1};
const WorkerId kAgent1{"agent-1", 1};

TEST(FailureDetector, DoesNotSuspectAWorkerThatNeverSent) {
  EXPECT_THAT(FailureDetector().Suspects(1'000'000), IsEmpty());
}

TEST(FailureDetector, SuspectsAtTheTimeoutAndNotBefore) {
  FailureDetector detector;
  detector.OnMessage(kAgent0, 500);
  EXPECT_THAT(detector.Suspects(500), IsEmpty());
  EXPECT_THAT(detector.Suspects(6499), IsEmpty());
  EXPECT_THAT(detector.Suspects(6500), ElementsAre(kAgent0));
}

TEST(FailureDetector, KeepsSuspectingUntilTheNextMessage) {
  FailureDetector detector(/*timeout_ms=*/100);
  detector.OnMessage(kAgent0, 0);
  EXPECT_THAT(detector.Suspects(100), ElementsAre(kAgent0));
  EXPECT_THAT(detector.Suspects(150), ElementsAre(kAgent0));
  detector.OnMessage(kAgent0, 150);
  EXPECT_THAT(detector.Suspects(249), IsEmpty());
  EXPECT_THAT(detector.Suspects(250), ElementsAre(kAgent0));
}

TEST(FailureDetector, EachWorkerHasATimeoutOfItsOwn) {
  FailureDetector detector(/*timeout_ms=*/100);
  detector.OnMessage(kAgent1, 0);
  detector.OnMessage(kAgent0, 10);
  EXPECT_THAT(detector.Suspects(105), ElementsAre(kAgent1));
  EXPECT_THAT(detector.Suspects(110), ElementsAre(kAgent0, kAgent1));
}

TEST(FailureDetector, ForgetsARemovedWorker) {
  FailureDetector detector(/*timeout_ms=*/100);
  detector.OnMessage(kAgent0, 0);
  detector.Remove(kAgent0);
  detector.Remove(kAgent1);
  EXPECT_THAT(detector.Suspects(1000), IsEmpty());
}

TEST(FailureDetector, ARestartedWorkerIsAnotherWorker) {
  FailureDetector detector(/*timeout_ms=*/100);
  detector.OnMessage(kAgent0, 0);
  detector.OnMessage({"agent-0", 2}, 60);
  EXPECT_THAT(detector.Suspects(100), ElementsAre(kAgent0));
}

TEST(FailureDetector, RestartsAllTimeoutsWhenTold) {
  FailureDetector detector(100);
  detector.OnMessage(WorkerId{"a", 1}, 0);
  detector.OnMessage(WorkerId{"b", 1}, 50);
  detector.RestartTimeouts(1000);
  EXPECT_TRUE(detector.Suspects(1099).empty());
  EXPECT_EQ(detector.Suspects(1100).size(), 2u);
}

TEST(PauseDetector, NoticesThatItsProcessDidNotRun) {
  PauseDetector pause;
  EXPECT_FALSE(pause.Turn(5000));  // nothing before it
  EXPECT_FALSE(pause.Turn(5000 + kPauseMsMin - 1));
  EXPECT_TRUE(pause.Turn(5000 + 2 * kPauseMsMin - 1));
  EXPECT_FALSE(pause.Turn(5000 + 2 * kPauseMsMin));
}

}  // namespace
}  // namespace halcyon::cluster
