// A launch whose ranks cannot be started before something else has come: members of an external
// world. Driven through the job, as a pure value.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/job_status.h"
#include "coordinator/run/gang_stage.h"
#include "tests/coordinator/run_fixture.h"

namespace halcyon::coordinator {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class WaitingLaunchTest : public JobRunTest {
 protected:
  WaitingLaunchTest() {
    made_ = {"of tokenizer", "of tokens"};
    limits_.places_ranks = false;
    Begin();
    const auto prepare = Only<effect::PrepareLaunch>();
    stage_ = prepare.stage;
    launch_ = prepare.launch;
    Happen(event::LaunchPrepared{stage_, launch_, absl::OkStatus()});
    Only<effect::Launch>();
  }
  void Waits(const std::string& what) { Happen(event::LaunchWaits{stage_, launch_, what}); }
  void LauncherEnds() { Happen(event::LauncherEnded{stage_, launch_}); }
  void RanksGone(const absl::Status& exit = absl::OkStatus()) {
    Only<effect::EndRanks>();
    Happen(event::RanksEnded{stage_, launch_, GangRemains{exit, "x.log", 0, absl::OkStatus()}});
  }

  NodeId stage_;
  uint64_t launch_ = 0;
};

TEST_F(WaitingLaunchTest, SaysForWhatItWaitsAndHasNoLimit) {
  Waits("1 of 2 members are here");
  EXPECT_THAT(Told(), HasSubstr("its ranks wait: 1 of 2 members are here\n"));
  EXPECT_EQ(Only<effect::ShowNote>().note, "its ranks wait: 1 of 2 members are here");
  PassMs(10 * kGangStartMsMax);
  EXPECT_THAT(All<effect::KillGang>(), IsEmpty());
  Happen(event::Launched{stage_, launch_, absl::OkStatus()});
  EXPECT_EQ(Only<effect::ShowNote>().note, "");
  PassMs(kGangStartMsMax);
  EXPECT_THAT(All<effect::KillGang>(), IsEmpty()) << "they are started only now";
  PassMs(1);
  Only<effect::KillGang>();
}

TEST_F(WaitingLaunchTest, AStopEndsTheWait) {
  Waits("no member is here");
  Stop();
  EXPECT_THAT(Told(), Not(HasSubstr("finish their step")));
  Only<effect::KillGang>();
  LauncherEnds();
  PassMs(kLastMessagesMsMax);
  RanksGone();
  EXPECT_TRUE(Ended(absl::StatusCode::kAborted, "stopped; no step was done;")) << HowItEnded();
}

TEST_F(WaitingLaunchTest, AStopBeforeItIsKnownForWhatItWaitsEndsItToo) {
  Stop();
  Waits("no member is here");
  Only<effect::KillGang>();
  LauncherEnds();
  PassMs(kLastMessagesMsMax);
  RanksGone();
  EXPECT_TRUE(Ended(absl::StatusCode::kAborted, "stopped; no step was done;")) << HowItEnded();
}

TEST_F(WaitingLaunchTest, AWorldThatDoesNotFitFailsTheJob) {
  LauncherEnds();
  PassMs(kLastMessagesMsMax);
  RanksGone(InvalidArgument("a world of 3"));
  EXPECT_TRUE(Ended(absl::StatusCode::kInvalidArgument, "a world of 3")) << HowItEnded();
}

// Where something else has placed the ranks nothing can be placed elsewhere.
TEST_F(WaitingLaunchTest, NoMachineIsLeftOut) {
  Happen(event::Launched{stage_, launch_, absl::OkStatus()});
  for (const uint32_t rank : {0u, 1u}) {
    cluster::Hello hello{"rank", "autoencoder", rank, 1, 2, ""};
    hello.host = "n" + std::to_string(rank);
    From({"autoencoder-rank-" + std::to_string(rank), launch_}, hello);
  }
  Happen(event::Suspected{{"autoencoder-rank-1", launch_}, "stopped sending", absl::OkStatus()});
  LauncherEnds();
  PassMs(kLastMessagesMsMax);
  RanksGone(Unavailable("gone"));
  PassMs(RestartBudget::kWaitMsMax);
  const auto prepare = Only<effect::PrepareLaunch>();
  Happen(event::LaunchPrepared{stage_, prepare.launch, absl::OkStatus()});
  EXPECT_THAT(Only<effect::Launch>().excluded_hosts, IsEmpty());
  EXPECT_THAT(Told(), Not(HasSubstr("left out")));
}

}  // namespace
}  // namespace halcyon::coordinator
