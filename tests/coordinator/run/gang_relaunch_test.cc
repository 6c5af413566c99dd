// Whether, when and where a gang that has failed is launched again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/gang_fixture.h"

namespace halcyon::coordinator {
namespace {

using jobs::StageState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

TEST_F(GangTest, IsLaunchedAgainUntilItFailsTooOftenWithoutACheckpoint) {
  BeginGang();
  FailOnce();
  EXPECT_THAT(Told(), HasSubstr("autoencoder: launched again, it resumes from its last checkpoint "
                                "(rank 1: lost)"));
  Prepare();
  EXPECT_EQ(launch_, 2u);
  FailOnce(/*newest_step=*/10);  // progress
  for (int failures = 0; failures < 2; ++failures) {
    Prepare();
    FailOnce(10);
  }
  EXPECT_THAT(All<effect::PrepareLaunch>(), IsEmpty());
  EXPECT_EQ(StateOf(stage_), StageState::kFailed);
  EXPECT_TRUE(Ended(absl::StatusCode::kInternal,
                    "autoencoder: failed 3 times without a checkpoint between, last: rank 1: lost"))
      << HowItEnded();
}

TEST_F(GangTest, AFailureThatWouldRecurIsNotTriedAgain) {
  BeginGang();
  Run();
  RankEnds(1, Unavailable("a peer is gone"));
  RankEnds(0, InvalidArgument("the loss is not a finite number"));
  LauncherEnds();
  RanksGone(Unavailable("exit code 1"));
  EXPECT_TRUE(Ended(absl::StatusCode::kInvalidArgument, "autoencoder: rank 0: the loss is not"))
      << HowItEnded();
}

TEST_F(GangTest, ALaunchThatFailsIsTriedAgainOnce) {
  BeginGang();
  Launch(Unavailable("no mpirun"));
  RanksGone();
  EXPECT_THAT(Told(), HasSubstr("launched again"));
  Prepare();
  Launch(Unavailable("no mpirun"));
  RanksGone();
  EXPECT_TRUE(Ended(absl::StatusCode::kInternal, "failed 2 times")) << HowItEnded();
}

TEST_F(GangTest, TheNextLaunchWaitsAndAStopEndsTheWait) {
  BeginGang();
  FailOnce();
  PassMs(999);
  EXPECT_FALSE(Has<effect::PrepareLaunch>());
  PassMs(1);
  EXPECT_TRUE(Has<effect::PrepareLaunch>());
  Prepare();
  FailOnce(/*newest_step=*/0);
  PassMs(1999);
  EXPECT_FALSE(Has<effect::PrepareLaunch>());
  Stop();
  EXPECT_TRUE(Ended(absl::StatusCode::kAborted, "stopped; no step was done")) << HowItEnded();
  PassMs(60'000);
  EXPECT_FALSE(Has<effect::PrepareLaunch>());
}

TEST_F(GangTest, FewerRanksAreLaunchedWhenNotAllComeUp) {
  limits_.ranks = 3;
  limits_.ranks_min = 2;
  BeginGang();
  for (int launch = 0; launch < 2; ++launch) {
    const auto asked = Only<effect::Launch>();
    EXPECT_EQ(asked.ranks, 3);
    Happen(event::Launched{asked.stage, asked.launch, absl::OkStatus()});
    Hello(0);
    Hello(1);
    PassMs(kGangStartMsMax + 1);
    LauncherEnds();
    PassMs(1000);
    RanksGone(Unavailable("killed by signal 9"));
    Prepare();
  }
  EXPECT_THAT(Told(),
              HasSubstr("3 ranks do not come up; tried with 2, as launch.ranks_min allows"));
  const auto fewer = Only<effect::Launch>();
  EXPECT_EQ(fewer.ranks, 2);
  Happen(event::Launched{fewer.stage, fewer.launch, absl::OkStatus()});
  Hello(0);
  Hello(1);
  PassMs(kGangStartMsMax + 1);
  EXPECT_THAT(All<effect::KillGang>(), SizeIs(2)) << "of the two launches before";
  // Once it has got on, the next launch is one of all.
  RankEnds(0, Unavailable("lost"));
  LauncherEnds();
  PassMs(1000);
  RanksGone(Unavailable("exit code 1"), /*newest_step=*/10);
  Prepare();
  EXPECT_EQ(Only<effect::Launch>().ranks, 3);
}

TEST_F(GangTest, WhatRunsOutOfMemoryTwiceEndsTheJobWithAdvice) {
  BeginGang();
  for (int launch = 0; launch < 2; ++launch) {
    if (launch > 0) Prepare();
    Run();
    RankEnds(1, Internal("std::bad_alloc"));
    LauncherEnds();
    PassMs(1000);
    RanksGone(Unavailable("exit code 3"));
  }
  EXPECT_TRUE(
      Ended(absl::StatusCode::kInternal, "ran out of memory (lower the stage's micro_batch"))
      << HowItEnded();
}

TEST_F(GangTest, AFailureShortlyAfterAPauseDoesNotCount) {
  BeginGang();
  for (int launch = 0; launch < 6; ++launch) {
    Run();
    Happen(event::Paused{});
    RankEnds(0, Unavailable("no message from the coordinator"));
    RankEnds(1, Unavailable("no message from the coordinator"));
    LauncherEnds();
    RanksGone();
    Prepare();
  }
  EXPECT_EQ(launch_, 7u) << "restarts_max is 2";
}

class LostHostTest : public GangTest {
 protected:
  // A launch on hosts a and b, whose launcher ends because `lost` do not answer any more.
  void LoseHosts(const std::vector<std::string>& lost) {
    Launch();
    Hello(0, "a");
    Hello(1, "b");
    LauncherEnds();
    PassMs(5000);
    RanksGone(GangRemains{.exit = Unavailable("the launcher ended with exit code 1"),
                          .log_path = "x.log",
                          .hosts = {"a", "b"},
                          .lost_hosts = lost});
  }
};

TEST_F(LostHostTest, IsLeftOutOfTheNextLaunch) {
  BeginGang();
  LoseHosts({"b"});
  EXPECT_THAT(Told(), HasSubstr("b is left out for 10 minutes"));
  EXPECT_THAT(Only<effect::ShowRestart>().why, HasSubstr("b cannot be reached any more; the "));
  Prepare();
  EXPECT_THAT(Only<effect::Launch>().excluded_hosts, ElementsAre("b"));
}

// The numbers of Slurm's steps begin anew after a requeue, and one may be in the way of an earlier
// step.
TEST_F(LostHostTest, AStepThatSlurmCouldNotStartIsTriedAgainWithAnother) {
  limits_.restarts_max = 1;
  BeginGang();
  const auto not_started = [&] {
    Launch();
    LauncherEnds();
    PassMs(5000);
    RanksGone(GangRemains{.exit = absl::OkStatus(),
                          .log_path = "x.log",
                          .hosts = {"a", "b"},
                          .how = "the launcher ended with exit code 0; Slurm could not start rank "
                                 "1: Unspecified error"});
  };
  for (int64_t i = 0; i < RestartBudget::kNotStartedMax; ++i) {
    not_started();
    EXPECT_THAT(Only<effect::ShowRestart>().why, HasSubstr("Slurm could not start rank 1"));
    Prepare();
  }
  Run();
  LauncherEnds();
  PassMs(5000);
  RanksGone(Unavailable("the launcher ended with exit code 1"));
  EXPECT_TRUE(Has<effect::ShowRestart>()) << "no failure was counted before this one";
}

TEST_F(LostHostTest, IsLookedForWhenAnotherLaunchMayFollow) {
  BeginGang();
  Run();
  LauncherEnds();
  PassMs(5000);
  EXPECT_TRUE(All<effect::EndRanks>().at(0).may_go_on);
}

TEST_F(LostHostTest, IsNotLookedForWhenTheJobIsToldToStop) {
  BeginGang();
  Run();
  Stop();
  LauncherEnds();
  PassMs(5000);
  EXPECT_FALSE(All<effect::EndRanks>().at(0).may_go_on);
}

TEST_F(LostHostTest, IsLeftOutAlsoWhenTheLaunchHasNotComeUp) {
  BeginGang();
  Launch();
  LauncherEnds();
  PassMs(5000);
  RanksGone(GangRemains{.exit = Unavailable("the launcher ended with exit code 1"),
                        .log_path = "x.log",
                        .hosts = {"a", "b"},
                        .lost_hosts = {"a"}});
  Prepare();
  EXPECT_THAT(Only<effect::Launch>().excluded_hosts, ElementsAre("a"));
}

TEST_F(LostHostTest, WhenNoneAnswersAllAreTriedAsOftenAsFailuresAreAllowed) {
  limits_.restarts_max = 2;
  BeginGang();
  for (int launch = 0; launch < 3; ++launch) {
    if (launch > 0) Prepare();
    LoseHosts({"a", "b"});
    EXPECT_THAT(Told(), Not(HasSubstr("left out")));
  }
  EXPECT_THAT(All<effect::PrepareLaunch>(), IsEmpty());
  EXPECT_EQ(StateOf(stage_), StageState::kFailed);
}

}  // namespace
}  // namespace halcyon::coordinator
