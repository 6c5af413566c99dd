// Whole jobs that are stopped, paused, and short of room, or whose processes do not come up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <set>

#include "base/clock.h"
#include "cluster/coordinator_link.h"
#include "coordinator/run/gang_stage.h"
#include "storage/checkpoint.h"
#include "tests/coordinator/coordinator_fixture.h"

namespace halcyon::coordinator {
namespace {

using jobs::StageKind;
using ::testing::HasSubstr;
using ::testing::Not;
using Fault = FakeCluster::Fault;

class InterruptionTest : public CoordinatorTest {
 protected:
  // A committed checkpoint of the stage, as far as the coordinator looks at it.
  void Commit(const std::string& stage, uint64_t step) {
    const std::string dir = JoinPath(cluster_.assignments[stage].work_dir,
                                     "checkpoints/" + storage::CheckpointName(step, {}));
    ASSERT_TRUE(env_.CreateDirs(dir).ok());
    ASSERT_TRUE(WriteFileAtomically(env_, JoinPath(dir, "COMMIT"), "").ok());
  }
};

// --- stopping ---

TEST_F(InterruptionTest, AStopReachesTheRanksAndSaysWhatIsSaved) {
  cluster_.gangs_wait_for_stop = true;
  const absl::Status status = Run();
  EXPECT_TRUE(absl::IsAborted(status));
  EXPECT_EQ(MessageOf(status),
            "autoencoder: stopped; saved step 1; run the same command again to go on");
  EXPECT_EQ(cluster_.launches["autoencoder"], 1);
  EXPECT_EQ(recorded_, jobs::JobState::kPreempted);
  EXPECT_EQ(status_.Find(StageKind::kAutoencoder)->figures["loss"], 2.5);
}

TEST_F(InterruptionTest, ACancelledJobSavesAndEndsForGood) {
  cluster_.gangs_wait_for_stop = true;
  cancelled_ = true;
  const absl::Status status = Run();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(MessageOf(status), HasSubstr("cancelled: autoencoder: stopped; saved step 1;"));
  EXPECT_EQ(recorded_, jobs::JobState::kCancelled);
  EXPECT_EQ(status_.exit_code, 6);
  cluster_.gangs_wait_for_stop = cancelled_ = false;
  cluster_.stops = 0;
  EXPECT_TRUE(Run().ok()) << "the same command goes on";
}

TEST_F(InterruptionTest, TheEndOfTheAllocationIsNotWaitedFor) {
  cluster_.gangs_wait_for_stop = true;
  asks_to_stop_ = false;
  // Known once the gang trains; launch.stop_margin_s is 60.
  ends_at_ms_ = [this] { return cluster_.stops > 0 ? clock_.WallMs() + 59'000 : int64_t{0}; };
  const absl::Status status = Run();
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_THAT(MessageOf(status), HasSubstr("saved step 1;"));
  EXPECT_THAT(notices_, HasSubstr("stopping: the allocation ends in 59 s"));
}

TEST_F(InterruptionTest, TheLastStepIsFinishedHoweverLongItTakes) {
  cluster_.gangs_wait_for_stop = true;
  cluster_.last_step_ms = 600'000;
  EXPECT_THAT(MessageOf(Run()), HasSubstr("saved step 1;"));
}

TEST_F(InterruptionTest, ASecondRequestEndsAtOnceAndSaysThatNothingWasSaved) {
  cluster_.gangs_wait_for_stop = true;
  cluster_.last_step_ms = 600'000;
  cluster_.on_turn = [this] {
    // Once the ranks know of the first request.
    if (notices_.find("stopping") != std::string::npos) cluster_.stops = 2;
  };
  const absl::Status status = Run();
  EXPECT_TRUE(absl::IsAborted(status));
  EXPECT_THAT(MessageOf(status), HasSubstr("autoencoder: stopped; nothing saved (stopped before"));
}

TEST_F(InterruptionTest, AGangThatEndsWithoutSavingIsNotCalledSaved) {
  cluster_.gangs_wait_for_stop = true;
  cluster_.gangs_save = false;
  cluster_.on_gang = [this](const std::string& stage, int) {
    if (cluster_.assignments.contains(stage)) Commit(stage, 40);
    return absl::OkStatus();
  };
  const absl::Status status = Run();
  EXPECT_TRUE(absl::IsAborted(status));
  EXPECT_THAT(MessageOf(status), HasSubstr("nothing saved"));
  EXPECT_THAT(MessageOf(status), Not(HasSubstr("stopped; saved")));
}

TEST_F(InterruptionTest, StrayMessagesDoNotProlongTheEndOfAGang) {
  // A process of an earlier launch sends every 200 ms, for ever.
  int64_t spoke_ms = 0;
  cluster_.on_turn = [&] {
    if (clock_.MonotonicMs() - spoke_ms < 200) return;
    spoke_ms = clock_.MonotonicMs();
    cluster_.Send({"model-rank-0", 77}, cluster::Alive{{"step 3"}});
    cluster_.Send({"model-rank-0", 77}, cluster::TrainProgress{"model", 3, 9, {}});
  };
  cluster_.on_gang = [](const std::string& stage, int launch) {
    return stage == "model" && launch == 1 ? Unavailable("lost") : absl::OkStatus();
  };
  EXPECT_TRUE(Run().ok());
}

// --- pauses, and restarts since the last progress ---

TEST_F(InterruptionTest, APauseOfTheCoordinatorRestartsAllTimeouts) {
  int pauses = 0;
  cluster_.on_lease = [&](const cluster::Lease&) -> std::optional<Fault> {
    clock_.AdvanceMs(10 * cluster::kHeartbeatTimeoutMs);
    ++pauses;
    return std::nullopt;
  };
  ASSERT_TRUE(Run().ok());
  EXPECT_GT(pauses, 4);
  EXPECT_EQ(LeasesOf("tokens/"), status_.Find(StageKind::kTokens)->tasks) << "nobody was lost";
  EXPECT_THAT(notices_, Not(HasSubstr("stopped sending")));
}

TEST_F(InterruptionTest, AGangLostToAPauseOfTheCoordinatorIsNotCounted) {
  // Its ranks ran on, received nothing, and ended.
  cluster_.on_gang = [this, paused = 0](const std::string& stage, int launch) mutable {
    if (stage != "model" || launch > 6) return absl::OkStatus();
    if (paused < launch) clock_.AdvanceMs(2 * cluster::kHeartbeatTimeoutMs);
    paused = launch;
    return Unavailable("no message from the coordinator");
  };
  ASSERT_TRUE(Run().ok()) << "restarts_max is 2";
  EXPECT_EQ(cluster_.launches["model"], 7);
}

TEST_F(InterruptionTest, RestartsAreCountedSinceTheLastCheckpoint) {
  cluster_.on_gang = [this](const std::string& stage, int launch) {
    if (stage != "model" || launch > 6) return absl::OkStatus();
    if (cluster_.assignments.contains(stage)) Commit(stage, 10 * static_cast<uint64_t>(launch));
    return Unavailable("rank lost");
  };
  ASSERT_TRUE(Run().ok()) << "restarts_max is 2";
  EXPECT_EQ(cluster_.launches["model"], 7);
}

TEST_F(InterruptionTest, RestartsOfAnAgentAreCountedSinceItsLastTask) {
  agents_ = 1;
  cluster_.on_lease = [seen = std::set<std::string>()](const cluster::Lease& lease) mutable {
    return seen.insert(lease.task).second ? std::optional(Fault::kDie) : std::nullopt;
  };
  ASSERT_TRUE(Run().ok()) << "restarts_max is 2, and every task ends the agent once";
  EXPECT_EQ(LeasesOf("tokens/"), 2 * status_.Find(StageKind::kTokens)->tasks);
}

TEST_F(InterruptionTest, EveryLaunchHasAFenceOfItsOwn) {
  cluster_.on_gang = [](const std::string& stage, int launch) {
    return stage == "model" && launch < 3 ? Unavailable("rank lost") : absl::OkStatus();
  };
  ASSERT_TRUE(Run().ok());
  const cluster::StageAssignment& model = cluster_.assignments.at("model");
  EXPECT_EQ(model.launch, 3u);
  storage::CheckpointStore store(env_, JoinPath(model.work_dir, "checkpoints"));
  EXPECT_EQ(*store.ReadFence(), (storage::WriterFence{model.claim, 3}));
  EXPECT_TRUE(absl::IsAborted(store.Fence({model.claim, 2})));
}

// --- processes that do not start ---

TEST_F(InterruptionTest, ALauncherThatCannotWorkIsReportedBeforeTheFirstStage) {
  cluster_.on_check = [] { return InvalidArgument("mpirun of another MPI"); };
  const absl::Status status = Run();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(MessageOf(status), HasSubstr("mpirun of another MPI"));
  EXPECT_TRUE(cluster_.leases.empty());
  cluster_.on_check = nullptr;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(cluster_.checks, 1);
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(cluster_.checks, 0) << "nothing is left to launch";
}

TEST_F(InterruptionTest, AnAgentThatEndsBeforeItsHelloIsStartedAgainOnceAndShowsItsLastLines) {
  int spawned = 0;
  cluster_.on_spawn = [&](const WorkerId& agent) {
    if (agent.name == "agent-0") ++spawned;
    return std::optional<std::string>("echo cannot load libc10.so; exit 127");
  };
  // Agents end in real time.
  cluster_.on_turn = [] { Clock::Real()->SleepMs(1); };
  const absl::Status status = Run();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
  EXPECT_THAT(MessageOf(status), HasSubstr("cannot load libc10.so"));
  EXPECT_LE(spawned, 2);
}

TEST_F(InterruptionTest, ALauncherThatEndsBeforeItsRanksJoinedIsTriedAgainOnce) {
  cluster_.on_launch = [](const std::string&, int) {
    return std::optional<std::string>("echo 'There are not enough slots available'; exit 1");
  };
  const absl::Status status = Run();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
  EXPECT_THAT(MessageOf(status), HasSubstr("not enough slots"));
  EXPECT_EQ(cluster_.launches["autoencoder"], 2);
}

TEST_F(InterruptionTest, ADiskThatFillsWhileRanksStartIsNoticedAtOnce) {
  cluster_.on_launch = [this](const std::string&, int) {
    room_.bytes = 4096;
    return std::optional<std::string>("exec sleep 1000");
  };
  const int64_t started_ms = clock_.MonotonicMs();
  const absl::Status status = Run();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(MessageOf(status), HasSubstr("No space left on device"));
  EXPECT_EQ(cluster_.launches["autoencoder"], 1);
  EXPECT_LT(clock_.MonotonicMs() - started_ms, kGangStartMsMax);
}

TEST_F(InterruptionTest, WithoutInodesTheRanksAreNotLaunched) {
  room_.files = 3;
  const absl::Status status = Run();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(MessageOf(status), HasSubstr("inodes"));
  EXPECT_EQ(cluster_.launches["autoencoder"], 0);
}

// --- what a rank reports about itself ---

TEST_F(InterruptionTest, APidThatIsNotOfTheLaunchIsNeitherKilledNorRecorded) {
  auto stranger = cluster::ChildProcess::Spawn(
      {.argv = {"sleep", "1000"}, .env = {}, .output_path = "/dev/null"});
  ASSERT_TRUE(stranger.ok()) << stranger.status();
  cluster_.hello_pid = (*stranger)->pid();
  ASSERT_TRUE(Run().ok());
  EXPECT_FALSE((*stranger)->Poll().has_value());
  const auto history = storage::ReadJobHistory(env_, home_.Journal("t-1"));
  ASSERT_TRUE(history.ok()) << history.status();
  for (const auto& [name, recorded] : history->processes) {
    EXPECT_NE(recorded.process.pid, (*stranger)->pid()) << name;
  }
}

}  // namespace
}  // namespace halcyon::coordinator
