// A stage that a gang trains as a pure value, driven through the job.
#include "coordinator/run/gang_stage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/coordinator_link.h"
#include "cluster/outputs.h"
#include "tests/coordinator/gang_fixture.h"

namespace halcyon::coordinator {
namespace {

using jobs::StageKind;
using jobs::StageState;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

TEST_F(GangTest, IsFencedLaunchedFollowedAndInstalled) {
  BeginGang();
  EXPECT_EQ(launch_, 1u);
  Run();
  EXPECT_THAT(All<effect::TrackRank>(), SizeIs(2));
  const auto welcomes = Sent<cluster::Welcome>();
  ASSERT_THAT(welcomes, SizeIs(2));
  EXPECT_EQ(welcomes[0].second.assignment.launch, 1u);
  From(Rank(0), cluster::TrainProgress{"autoencoder", 5, 20, {{"loss", 2.5}, {"resumed_from", 4}}});
  From(Rank(0), cluster::TrainProgress{"autoencoder", 6, 20, {{"loss", 2.25}}});
  const auto shown = All<effect::ShowSteps>();
  ASSERT_THAT(shown, SizeIs(2));
  EXPECT_TRUE(shown[0].is_start);
  EXPECT_FALSE(shown[1].is_start);
  EXPECT_EQ(shown[1].step, 6u);
  EXPECT_EQ(shown[1].figures.at("loss"), 2.25);
  EXPECT_THAT(Told(), HasSubstr("autoencoder: goes on from step 4\n"));
  RankEnds(0, absl::OkStatus());
  LauncherEnds();
  EXPECT_THAT(All<effect::EndRanks>(), IsEmpty()) << "the other's last message may still come";
  RankEnds(1, absl::OkStatus());
  RanksGone();
  const auto install = Only<effect::Install>();
  EXPECT_EQ(install.outcome.content_digest, "d");
  EXPECT_EQ(install.outcome.made_dir, "/w/autoencoder/out-7-launch-1");
  Happen(event::Installed{stage_, ""});
  EXPECT_EQ(StateOf(stage_), StageState::kDone);
}

TEST_F(GangTest, AStopWhileItIsPreparedLaunchesNothing) {
  for (const uint64_t step : {uint64_t{0}, uint64_t{40}}) {
    newest_step_ = step;
    effects_.clear();
    states_.clear();
    Begin();
    stage_ = Node("autoencoder");
    Stop();
    Prepare();
    EXPECT_THAT(All<effect::Launch>(), IsEmpty());
    EXPECT_EQ(StateOf(stage_), StageState::kInterrupted);
    EXPECT_TRUE(Ended(absl::StatusCode::kAborted,
                      step == 0 ? "stopped; no step was done;" : "stopped; saved step 40;"))
        << HowItEnded();
  }
}

TEST_F(GangTest, AStopWhileItStartsReachesTheRanksThatComeLater) {
  BeginGang();
  Launch();
  Hello(0);
  Stop();
  EXPECT_THAT(Told(), HasSubstr("stopping: the ranks finish their step and save it"));
  auto stops = Sent<cluster::Stop>();
  ASSERT_THAT(stops, SizeIs(1));
  EXPECT_EQ(stops[0].first, Rank(0));
  Hello(1);
  stops = Sent<cluster::Stop>();
  ASSERT_THAT(stops, SizeIs(1));
  EXPECT_EQ(stops[0].first, Rank(1));
  RankEnds(0, Aborted("stopped after step 1"));
  RankEnds(1, Aborted("stopped after step 1"));
  LauncherEnds();
  RanksGone(Unavailable("exit code 4"), 1);
  EXPECT_THAT(All<effect::PrepareLaunch>(), IsEmpty());
  EXPECT_TRUE(Ended(absl::StatusCode::kAborted,
                    "autoencoder: stopped; saved step 1; run the same command again to go on"))
      << HowItEnded();
}

TEST_F(GangTest, ASecondRequestKillsItAtOnce) {
  BeginGang();
  Run();
  Stop();
  EXPECT_THAT(All<effect::KillGang>(), IsEmpty());
  Stop(2);
  EXPECT_THAT(All<effect::KillGang>(), SizeIs(1));
  LauncherEnds();
  RanksGone(Unavailable("killed"), 40);
  EXPECT_TRUE(Ended(absl::StatusCode::kAborted,
                    "nothing saved since step 40 (stopped before it had saved)"))
      << HowItEnded();
}

TEST_F(GangTest, AFailureWhileStoppingSaysThatTheStepWasNotSaved) {
  BeginGang();
  Run();
  Stop();
  RankEnds(0, ResourceExhausted("no space left"));
  RankEnds(1, Unavailable("a peer is gone"));
  LauncherEnds();
  RanksGone(Unavailable("exit code 1"), 40);
  EXPECT_TRUE(Ended(absl::StatusCode::kResourceExhausted, "autoencoder: rank 0: no space left"));
}

TEST_F(GangTest, MessagesOfAnEarlierLaunchAreRefused) {
  BeginGang();
  FailOnce();
  const WorkerId early = Rank(0);
  Prepare();
  From(early, cluster::Hello{"rank", "autoencoder", 0, 1, 2, ""});
  EXPECT_THAT(Sent<cluster::Welcome>(), SizeIs(2)) << "those of the first launch alone";
  Run();
  All<effect::Forget>();
  All<effect::MoveJob>();
  Sent<cluster::Welcome>();
  From(early, cluster::RankEnded{"autoencoder", 0, 0, "", kResult});
  EXPECT_EQ(Only<effect::Forget>().worker, early);
  EXPECT_THAT(All<effect::LogWarning>().back().line,
              HasSubstr("refused a rank_ended of autoencoder-rank-0"));
}

TEST_F(GangTest, WithoutRoomItIsNotLaunched) {
  BeginGang();
  Launch(ResourceExhausted("no inodes"));
  RanksGone();
  EXPECT_TRUE(Ended(absl::StatusCode::kResourceExhausted, "autoencoder: no inodes"));
}

TEST_F(GangTest, ADiskThatFillsWhileRanksStartEndsIt) {
  BeginGang();
  Launch();
  PassMs(1);
  EXPECT_THAT(All<effect::CheckRoom>(), SizeIs(1));
  PassMs(500);
  EXPECT_THAT(All<effect::CheckRoom>(), IsEmpty()) << "once a second";
  Happen(event::RoomChecked{stage_, ResourceExhausted("full")});
  EXPECT_THAT(All<effect::KillGang>(), SizeIs(1));
  LauncherEnds();
  PassMs(kLastMessagesMsMax);
  RanksGone();
  EXPECT_TRUE(Ended(absl::StatusCode::kResourceExhausted, "full")) << HowItEnded();
}

TEST_F(GangTest, RanksThatDoNotComeUpAreKilled) {
  BeginGang();
  Launch();
  Hello(0);
  PassMs(kGangStartMsMax);
  EXPECT_THAT(All<effect::KillGang>(), IsEmpty());
  PassMs(1);
  EXPECT_THAT(All<effect::KillGang>(), SizeIs(1));
  PassMs(1);
  EXPECT_THAT(All<effect::KillGang>(), IsEmpty()) << "once";
  EXPECT_THAT(All<effect::LogWarning>().back().line, HasSubstr("only 1 of 2 ranks came up in 120"));
}

TEST_F(GangTest, ARankThatHangsEndsTheGangAndIsNamed) {
  BeginGang();
  Run();
  Happen(event::Suspected{{"model-rank-1", 1}, "stopped sending", {}});
  EXPECT_THAT(All<effect::KillGang>(), IsEmpty()) << "of another gang";
  Happen(event::Suspected{Rank(1), "stopped sending in step 50: reduce-scatter", {}});
  EXPECT_THAT(All<effect::KillGang>(), SizeIs(1));
  LauncherEnds();
  PassMs(1000);
  RanksGone(Unavailable("killed by signal 9"));
  EXPECT_THAT(Told(), HasSubstr("(autoencoder-rank-1 stopped sending in step 50"));
}

TEST_F(GangTest, ARankThatAnswersAndStandsStillEndsTheGangAndIsNamed) {
  limits_.hang = {.floor_ms = 5000, .factor = 4};
  BeginGang();
  Launch();
  Hello(0, "a");
  Hello(1, "b");
  Beat(1, {"forward", "block.3", 14, 7, 10, 4});
  Beat(1, {"forward", "block.3", 14, 7, 30'000, 4});
  EXPECT_THAT(All<effect::KillGang>(), IsEmpty()) << "nothing is known of it yet";
  Beat(1, {"forward", "block.3", 15, 9, 0, 4});
  Happen(event::Paused{});
  Beat(1, {"forward", "block.3", 15, 9, 120'001, 4});
  EXPECT_THAT(All<effect::KillGang>(), IsEmpty()) << "this process did not run";
  PassMs(2 * cluster::kHeartbeatTimeoutMs);
  Beat(1, {"forward", "block.3", 15, 9, 120'001, 4});
  EXPECT_THAT(All<effect::KillGang>(), SizeIs(1));
  const auto shown = All<effect::ShowWorkers>().back().workers;
  ASSERT_THAT(shown, SizeIs(2));
  EXPECT_EQ(shown[0].waits_for, "rank 1");
  EXPECT_EQ(shown[1].verdict, Verdict::kStuck);
  Beat(1, {"forward", "block.3", 15, 9, 121'000, 4});
  EXPECT_THAT(All<effect::KillGang>(), IsEmpty()) << "once";
  LauncherEnds();
  PassMs(1000);
  RanksGone(Unavailable("killed by signal 9"));
  EXPECT_THAT(Told(), HasSubstr("(rank 1 on b is stuck in step 15: forward block.3, for 120 s"));
  // Its machine is left out, since the gang was on two.
  Prepare();
  EXPECT_EQ(Only<effect::Launch>().excluded_hosts, std::vector<std::string>{"b"});
}

TEST_F(GangTest, TheOtherRanksOfAFailedOneHaveALimit) {
  BeginGang();
  Run();
  RankEnds(0, Unavailable("lost"));
  PassMs(kGangEndMsMax);
  Happen(event::Paused{});  // the limit counts anew
  PassMs(kGangEndMsMax);
  EXPECT_THAT(All<effect::KillGang>(), IsEmpty());
  PassMs(1);
  EXPECT_THAT(All<effect::KillGang>(), SizeIs(1));
}

TEST_F(GangTest, TheWaitForLastMessagesIsBounded) {
  BeginGang();
  Run();
  LauncherEnds();
  for (int64_t passed_ms = 0; passed_ms < kLastMessagesMsMax; passed_ms += 250) {
    EXPECT_THAT(All<effect::EndRanks>(), IsEmpty()) << passed_ms;
    From(Rank(0), cluster::TrainProgress{"autoencoder", 5, 20, {}});
    PassMs(250);
  }
  RanksGone();
  EXPECT_THAT(Told(), HasSubstr("the ranks ended without a result; see x.log"));
}

TEST_F(GangTest, FiguresThatAreNoneEndTheStage) {
  BeginGang();
  Run();
  From(Rank(0), cluster::TrainProgress{"autoencoder", 5, 20, {{"resumed_from", "five"}}});
  EXPECT_THAT(All<effect::KillGang>(), SizeIs(1));
  LauncherEnds();
  PassMs(1000);
  RanksGone(Unavailable("killed by signal 9"));
  EXPECT_TRUE(Ended(absl::StatusCode::kInternal, "autoencoder: figures of rank 0")) << HowItEnded();
}

TEST_F(GangTest, AFenceThatCannotBeRaisedFailsTheStage) {
  Begin();
  stage_ = Node("autoencoder");
  Prepare(Aborted("another coordinator has raised it"));
  EXPECT_THAT(All<effect::Launch>(), IsEmpty());
  EXPECT_TRUE(run_->end());
}

// --- two variants of a stage that a gang trains ---

TEST_F(GangTest, VariantsOfOneStageAreTrainedOneAfterTheOther) {
  std::vector<jobs::JobSpec> variants(2, Spec());
  variants[1].autoencoder.chunk_size = 2 * variants[0].autoencoder.chunk_size;
  Begin(variants);
  const auto stages = NodesOf(StageKind::kAutoencoder);
  ASSERT_THAT(stages, SizeIs(2));
  EXPECT_EQ(StateOf(stages[0]), StageState::kRunning);
  EXPECT_EQ(StateOf(stages[1]), StageState::kWaiting) << "[launch] ranks are those of one gang";
  stage_ = stages[0];
  Prepare();
  Launch();
  const std::string prefix = RankPrefix(Label(stages[0]));
  for (uint32_t rank = 0; rank < 2; ++rank) {
    const WorkerId worker{prefix + "-" + std::to_string(rank), 1};
    From(worker, cluster::Hello{"rank", "autoencoder", rank, 1, 2, ""});
    From(worker, cluster::RankEnded{"autoencoder", rank, 0, "", rank == 0 ? kResult : nullptr});
  }
  LauncherEnds();
  RanksGone();
  InstallAll();
  EXPECT_EQ(StateOf(stages[0]), StageState::kDone);
  EXPECT_EQ(StateOf(stages[1]), StageState::kRunning);
  EXPECT_EQ(Only<effect::PrepareLaunch>().stage, stages[1]);
  // Its latents are made by agents meanwhile.
  const auto latents = NodesOf(StageKind::kLatents);
  EXPECT_EQ(StateOf(latents[0]), StageState::kRunning);
  EXPECT_THAT(Sent<cluster::Lease>().front().second.task, HasSubstr(Label(latents[0]) + "/0"));
  // When a shard of them cannot be made, the gang is killed before the job ends.
  Happen(event::LaunchPrepared{stages[1], 1, absl::OkStatus()});
  Only<effect::Launch>();
  Happen(event::Launched{stages[1], 1, absl::OkStatus()});
  Happen(event::Broken{ResourceExhausted("no space left")});
  EXPECT_THAT(All<effect::KillGang>(), SizeIs(1));
  EXPECT_FALSE(run_->end());
  stage_ = stages[1];
  launch_ = 1;
  LauncherEnds();
  PassMs(1000);
  RanksGone(Unavailable("killed by signal 9"));
  PassMs(kAgentEndMsMax);
  EXPECT_EQ(StateOf(stages[1]), StageState::kInterrupted);
  EXPECT_EQ(StateOf(latents[0]), StageState::kFailed);
  EXPECT_TRUE(Ended(absl::StatusCode::kResourceExhausted, "no space left")) << HowItEnded();
}

// --- a gang that an earlier coordinator launched ---

class AdoptionTest : public GangTest {
 protected:
  AdoptionTest() {
    launch_ = 4;
    earlier_launches_["autoencoder"] = launch_;
  }
  void BeginAdoption() {
    Begin();
    stage_ = Node("autoencoder");
    EXPECT_TRUE(All<effect::PrepareLaunch>().empty()) << "it would fence the ranks off";
    EXPECT_EQ(Only<effect::AdoptGang>().launch, launch_);
  }
  void Adopted(absl::Status status = absl::OkStatus()) {
    Happen(event::Adopted{stage_, launch_, std::move(status)});
  }
};

TEST_F(AdoptionTest, ItsRanksGoOnUnderTheirOwnFence) {
  BeginAdoption();
  Adopted();
  EXPECT_EQ(StateOf(stage_), StageState::kRunning);
  Hello(0);
  Hello(1);
  const auto welcomes = Sent<cluster::Welcome>();
  ASSERT_THAT(welcomes, SizeIs(2));
  EXPECT_EQ(welcomes[0].second.assignment.claim, kClaim - 1);
  EXPECT_EQ(welcomes[0].second.assignment.launch, 4u);
  RankEnds(0, absl::OkStatus());
  RankEnds(1, absl::OkStatus());
  LauncherEnds();
  RanksGone();
  const auto install = Only<effect::Install>();
  cluster::StageAssignment assignment = welcomes[0].second.assignment;
  EXPECT_EQ(install.outcome.made_dir, cluster::GangOutputDir(assignment));
}

// It was launched with fewer, as launch.ranks_min allowed.
TEST_F(AdoptionTest, AGangOfFewerRanksIsWhole) {
  earlier_ranks_ = 1;
  BeginAdoption();
  Adopted();
  Hello(0);
  PassMs(kGangStartMsMax + 1);
  EXPECT_TRUE(All<effect::KillGang>().empty());
  RankEnds(0, absl::OkStatus());
  LauncherEnds();
  RanksGone();
  EXPECT_TRUE(Has<effect::Install>());
}

TEST_F(AdoptionTest, RanksThatConnectBeforeTheirStageIsFoundAreWelcomedThen) {
  early_messages_ = {{Rank(0), cluster::Hello{"rank", "autoencoder", 0, 1, 2, ""}},
                     {Rank(1), cluster::Hello{"rank", "autoencoder", 1, 1, 2, ""}}};
  BeginAdoption();
  EXPECT_THAT(Sent<cluster::Welcome>(), SizeIs(2));
  EXPECT_TRUE(All<effect::Forget>().empty());
  Adopted();
  PassMs(kGangStartMsMax + 1);
  EXPECT_TRUE(All<effect::KillGang>().empty()) << "all have come up";
}

TEST_F(AdoptionTest, WhenNothingIsLeftAnotherIsLaunched) {
  BeginAdoption();
  Adopted(NotFound("its launcher has ended"));
  Prepare();
  EXPECT_EQ(launch_, 5u) << "above the earlier one, whose ranks it must not be mistaken for";
  const auto launch = Only<effect::Launch>();
  EXPECT_EQ(launch.claim, kClaim);
}

TEST_F(AdoptionTest, RanksThatDoNotComeBackAreReplaced) {
  BeginAdoption();
  Adopted();
  Hello(0);
  PassMs(kGangStartMsMax + 1);
  EXPECT_THAT(All<effect::KillGang>(), SizeIs(1));
  LauncherEnds();
  PassMs(5000);
  RanksGone();
  Prepare();
  EXPECT_EQ(launch_, 5u);
}

TEST_F(AdoptionTest, AResultCountsOnlyWhenAllRanksHaveEnded) {
  BeginAdoption();
  Adopted();
  Hello(0);
  Hello(1);
  RankEnds(0, absl::OkStatus());
  LauncherEnds();
  PassMs(5000);
  RanksGone();
  EXPECT_TRUE(All<effect::Install>().empty()) << "how its launcher ended is not known";
  PassMs(10000);
  EXPECT_THAT(All<effect::PrepareLaunch>(), SizeIs(1));
}

TEST_F(AdoptionTest, AStopReachesTheAdoptedRanks) {
  BeginAdoption();
  Stop();
  Adopted();
  Hello(0);
  EXPECT_THAT(Sent<cluster::Stop>(), SizeIs(1));
}

TEST_F(GangTest, RanksAreEndedWhenAnotherJobHasTakenTheirStageOver) {
  BeginGang();
  Run();
  Happen(event::LeaseLost{Aborted("taken over by job u (pid 2 on far)")});
  EXPECT_THAT(All<effect::KillGang>(), SizeIs(1));
  LauncherEnds();
  PassMs(kLastMessagesMsMax);
  RanksGone();
  EXPECT_TRUE(All<effect::LeaveWorkers>().empty());
  EXPECT_TRUE(All<effect::PrepareLaunch>().empty());
  EXPECT_EQ(StateOf(stage_), jobs::StageState::kInterrupted);
  PassMs(kAgentEndMsMax);
  EXPECT_TRUE(Ended(absl::StatusCode::kAborted, "taken over by job u")) << HowItEnded();
}

TEST_F(GangTest, ACoordinatorThatLostItsJobEndsNoProcess) {
  BeginGang();
  Run();
  All<effect::Forget>();
  All<effect::MoveJob>();
  Happen(event::LeaseLost{Aborted("taken over by job t (pid 2 on far)"), /*of_job=*/true});
  EXPECT_THAT(All<effect::LeaveWorkers>(), SizeIs(1));
  EXPECT_TRUE(All<effect::KillGang>().empty());
  EXPECT_TRUE(All<effect::MoveJob>().empty()) << "the status is the other's now";
  EXPECT_TRUE(Ended(absl::StatusCode::kAborted, "taken over by job t")) << HowItEnded();
  PassMs(1000);
  EXPECT_TRUE(All<effect::EndRanks>().empty());
}

}  // namespace
}  // namespace halcyon::coordinator
