// Whole jobs: what is made, reused, tried again and refused.
#include <gtest/gtest.h>

#include "cluster/outputs.h"
#include "coordinator/work/work_folders.h"
#include "storage/checkpoint.h"
#include "tests/coordinator/coordinator_fixture.h"

namespace halcyon::coordinator {
namespace {

using jobs::StageKind;
using jobs::StageState;
using Fault = FakeCluster::Fault;

TEST_F(CoordinatorTest, MakesAllStagesOnceAndReusesThem) {
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(MadeStages().size(), jobs::kAllStages.size());
  const size_t shards = status_.Find(StageKind::kTokens)->tasks;
  EXPECT_GT(shards, 4u);
  EXPECT_EQ(LeasesOf("tokens/"), shards);
  EXPECT_EQ(LeasesOf("latents/"), shards);
  EXPECT_EQ(cluster_.launches, (std::map<std::string, int>{{"autoencoder", 1}, {"model", 1}}));
  EXPECT_TRUE(cluster_.fence_file_seen);
  EXPECT_EQ(recorded_, jobs::JobState::kDone);
  EXPECT_EQ(ReadJobStatus(env_, home_, "t-1")->state, jobs::JobState::kDone);
  const auto& latents = cluster_.assignments.at("latents");
  EXPECT_EQ(latents.input_paths.at("tokens"),
            home_.Artifact("tokens", status_.Find(StageKind::kTokens)->fingerprint));
  EXPECT_FALSE(env_.Exists(latents.work_dir)) << "scratch is gone";
  EXPECT_TRUE(env_.Exists(cluster_.assignments.at("model").work_dir)) << "checkpoints stay";

  ASSERT_TRUE(Run().ok());
  EXPECT_TRUE(MadeStages().empty());
  EXPECT_TRUE(cluster_.leases.empty());
  EXPECT_TRUE(cluster_.launches.empty());
}

TEST_F(CoordinatorTest, AChangedFieldIsNamedAndRemakesWhatDependsOnIt) {
  ASSERT_TRUE(Run().ok());
  ASSERT_TRUE(Run("[train]\nsteps = 7\nwarmup_steps = 1\n").ok());
  EXPECT_EQ(MadeStages(), (std::vector{StageKind::kModel, StageKind::kEval}));
  EXPECT_NE(notices_.find("train.steps: 1500 -> 7"), std::string::npos) << notices_;
}

TEST_F(CoordinatorTest, AnAgentThatDiesIsReplacedAndItsTaskDoneAgain) {
  FailLease("tokens/2", Fault::kDie);
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(LeasesOf("tokens/2"), 2u);
  EXPECT_EQ(LeasesOf("tokens/"), status_.Find(StageKind::kTokens)->tasks + 1);
  EXPECT_NE(notices_.find("(tokens/2)"), std::string::npos) << notices_;
}

TEST_F(CoordinatorTest, ATaskThatKillsItsAgentsFailsTheJob) {
  FailLease("tokens/2", Fault::kDie, 100);
  const absl::Status status = Run();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
  // restarts_max is 2; an end shortly after this process was itself stopped does not count, which a
  // busy machine may cause.
  EXPECT_GE(LeasesOf("tokens/2"), 3u);
  EXPECT_LT(LeasesOf("tokens/2"), 100u) << "the last failure was the job's, not that of the list";
  EXPECT_EQ(recorded_, jobs::JobState::kFailed);
  EXPECT_EQ(status_.Find(StageKind::kTokens)->state, StageState::kFailed);
}

TEST_F(CoordinatorTest, UntilAStageAsksNothingOfTheMachineForTheOthers) {
  until_ = "tokens";
  memory_limit_ = MemoryLimit{100000, "of this test"};
  room_.bytes = 10'000'000;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(recorded_, jobs::JobState::kPartial);
  EXPECT_EQ(status_.until, "tokens");
  EXPECT_EQ(cluster_.checks, 0) << "no launcher is needed";
  EXPECT_EQ(MadeStages(), (std::vector<StageKind>{StageKind::kTokenizer, StageKind::kTokens}));
  until_ = "latents";
  EXPECT_TRUE(absl::IsInvalidArgument(Run())) << "the autoencoder does not fit";
  memory_limit_.reset();
  room_.bytes = 1ull << 40;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(recorded_, jobs::JobState::kPartial);
  EXPECT_EQ(MadeStages(), (std::vector<StageKind>{StageKind::kAutoencoder, StageKind::kLatents}));
  until_ = "";
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(MadeStages(), (std::vector<StageKind>{StageKind::kModel, StageKind::kEval}));
  EXPECT_EQ(recorded_, jobs::JobState::kDone);
  // What there is stays the job's.
  until_ = "tokens";
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(recorded_, jobs::JobState::kDone);
  EXPECT_TRUE(env_.Exists(PlaceOf(StageKind::kModel)));
}

TEST_F(CoordinatorTest, AStaleResultIsRefused) {
  FailLease("tokens/1", Fault::kSendStaleFirst);
  EXPECT_TRUE(Run().ok());
  EXPECT_EQ(LeasesOf("tokens/1"), 1u);
}

TEST_F(CoordinatorTest, ADamagedShardIsMadeAgain) {
  FailLease("tokens/1", Fault::kBreakSst);
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(LeasesOf("tokens/1"), 2u);
}

TEST_F(CoordinatorTest, BadInputEndsTheJobAtOnce) {
  FailLease("tokens/1", Fault::kFailBadInput);
  const absl::Status status = Run();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(MessageOf(status), "tokens/1: corpus.txt:7");
  EXPECT_EQ(LeasesOf("tokens/1"), 1u);
  EXPECT_EQ(status_.error, MessageOf(status));
}

TEST_F(CoordinatorTest, AFailureByChanceIsTriedAgain) {
  FailLease("tokenizer", Fault::kFailByChance, 2);
  EXPECT_TRUE(Run().ok());
  EXPECT_EQ(LeasesOf("tokenizer"), 3u);
}

TEST_F(CoordinatorTest, AStoppedJobGoesOnFromWhatIsCommitted) {
  FailLease("tokens/3", Fault::kStopJob);
  const absl::Status status = Run();
  EXPECT_TRUE(absl::IsAborted(status));
  const size_t tasks = status_.Find(StageKind::kTokens)->tasks;
  const size_t kept = status_.Find(StageKind::kTokens)->tasks_done;
  EXPECT_EQ(MessageOf(status), "tokens: stopped; " + std::to_string(kept) + " of " +
                                   std::to_string(tasks) +
                                   " shards are kept; run the same command again to go on");
  EXPECT_GT(kept, 0u);
  EXPECT_EQ(recorded_, jobs::JobState::kPreempted);
  const size_t first = LeasesOf("tokens/");
  cluster_.stops = 0;
  cluster_.on_lease = nullptr;
  ASSERT_TRUE(Run().ok());
  const size_t shards = status_.Find(StageKind::kTokens)->tasks;
  EXPECT_EQ(status_.Find(StageKind::kTokenizer)->state, StageState::kReused);
  EXPECT_LT(LeasesOf("tokens/"), shards) << "what was ingested is not made again";
  EXPECT_GE(LeasesOf("tokens/") + first, shards);
}

TEST_F(CoordinatorTest, AGangThatFailsIsLaunchedAgain) {
  cluster_.on_gang = [](const std::string& stage, int launch) {
    return stage == "model" && launch < 3 ? Internal("rank lost") : absl::OkStatus();
  };
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(cluster_.launches["model"], 3);
  EXPECT_NE(notices_.find("launched again"), std::string::npos);
}

TEST_F(CoordinatorTest, AGangThatAlwaysFailsFailsTheJobWithItsError) {
  cluster_.on_gang = [](const std::string&, int) { return Internal("rank lost"); };
  const absl::Status status = Run();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(MessageOf(status),
            "autoencoder: failed 3 times without a checkpoint between, last: rank 0: rank lost");
  cluster_.on_gang = nullptr;
  ASSERT_TRUE(Run().ok()) << "a failed job may be run again";
}

TEST_F(CoordinatorTest, AGangWithoutMemoryIsNotLaunchedAgain) {
  cluster_.on_gang = [](const std::string&, int) { return ResourceExhausted("no space left"); };
  EXPECT_TRUE(absl::IsResourceExhausted(Run()));
  EXPECT_EQ(cluster_.launches["autoencoder"], 1);
}

TEST_F(CoordinatorTest, AnArtifactThatIsGoneIsMadeAgain) {
  ASSERT_TRUE(Run().ok());
  const auto tokenizer = status_.Find(StageKind::kTokenizer)->fingerprint;
  ASSERT_TRUE(env_.RemoveTree(home_.Artifact("tokenizer", tokenizer)).ok());
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(MadeStages(), std::vector{StageKind::kTokenizer}) << "equal contents, equal digest";
  EXPECT_NE(notices_.find("is gone from"), std::string::npos) << notices_;
}

TEST_F(CoordinatorTest, ADamagedArtifactStopsTheJobByNameUntilToldToMakeItAgain) {
  ASSERT_TRUE(Run().ok());
  const std::string weights = JoinPath(PlaceOf(StageKind::kAutoencoder), "made.txt");
  const std::string bytes = *env_.ReadFile(weights);
  ASSERT_TRUE(env_.RemoveFile(weights).ok());
  absl::Status status = Run();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_NE(MessageOf(status).find(weights + ": is missing"), std::string::npos) << status;
  EXPECT_TRUE(cluster_.launches.empty()) << "nothing is tried";

  std::string flipped = bytes;
  flipped[0] ^= 1;
  ASSERT_TRUE(WriteFileAtomically(env_, weights, flipped).ok());
  EXPECT_TRUE(Run().ok()) << "the size is right, and nobody reads it";
  remake_damaged_ = true;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(MadeStages(), std::vector{StageKind::kAutoencoder}) << "equal contents, equal digest";
  EXPECT_EQ(*env_.ReadFile(weights), bytes);
  EXPECT_NE(notices_.find("autoencoder: damaged, now "), std::string::npos) << notices_;
  EXPECT_EQ(*env_.ReadFile(PlaceOf(StageKind::kAutoencoder) + ".damaged-1/made.txt"), flipped);
}

TEST_F(CoordinatorTest, AnArtifactThatLacksAFileIsMadeAgainWhenTold) {
  ASSERT_TRUE(Run().ok());
  for (const StageKind kind : {StageKind::kTokens, StageKind::kAutoencoder}) {
    const std::string name = kind == StageKind::kTokens ? "generation/manifest.json" : "made.txt";
    const std::string path = JoinPath(PlaceOf(kind), name);
    const std::string bytes = *env_.ReadFile(path);
    ASSERT_TRUE(env_.RemoveFile(path).ok());
    remake_damaged_ = false;
    EXPECT_TRUE(absl::IsDataLoss(Run()));
    remake_damaged_ = true;
    const absl::Status status = Run();
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(MadeStages(), std::vector{kind}) << "equal contents, equal digest";
    EXPECT_TRUE(env_.Exists(path));
  }
}

TEST_F(CoordinatorTest, AnArtifactOfAnotherVersionStopsTheJobByName) {
  ASSERT_TRUE(Run().ok());
  const std::string record = JoinPath(PlaceOf(StageKind::kModel), "artifact.json");
  ASSERT_TRUE(WriteFileAtomically(env_, record, "{\"version\": 3}").ok());
  remake_damaged_ = true;  // it is not damaged
  const absl::Status status = Run();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_NE(MessageOf(status).find(record), std::string::npos) << status;
  EXPECT_EQ(*env_.ReadFile(record), "{\"version\": 3}");
}

TEST_F(CoordinatorTest, ADamagedUnfinishedCacheIsNotBegunAgainUnlessTold) {
  const std::string building = StopBeforeShard3();
  const std::string log = JoinPath(building, "log/00000001");
  ASSERT_TRUE(WriteFileAtomically(env_, log, "x" + *env_.ReadFile(log)).ok());
  const absl::Status status = Run();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_NE(MessageOf(status).find("--from-scratch"), std::string::npos) << status;
  EXPECT_EQ(LeasesOf("tokens/"), 0u);
  from_scratch_ = true;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(LeasesOf("tokens/"), status_.Find(StageKind::kTokens)->tasks);
  EXPECT_NE(notices_.find("building.set-aside-1"), std::string::npos) << notices_;
}

TEST_F(CoordinatorTest, AShardWhoseFileIsGoneIsMadeAgainAlone) {
  const std::string building = StopBeforeShard3();
  const auto names = env_.ListDir(building);
  std::vector<std::string> files;
  for (const std::string& name : *names) {
    if (name.ends_with(".sst")) files.push_back(name);
  }
  const uint64_t done = status_.Find(StageKind::kTokens)->tasks_done;
  ASSERT_GE(done, 2u);
  ASSERT_TRUE(env_.RemoveFile(JoinPath(building, files.front())).ok());
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(LeasesOf("tokens/"), status_.Find(StageKind::kTokens)->tasks - (done - 1));
  EXPECT_NE(notices_.find(files.front() + " is missing"), std::string::npos) << notices_;
}

TEST_F(CoordinatorTest, AnUnfinishedCacheOfAnOlderFormIsSetAside) {
  const std::string building = StopBeforeShard3();
  ASSERT_TRUE(WriteFileAtomically(env_, JoinPath(building, "CURRENT"), "MANIFEST-000004\n").ok());
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(LeasesOf("tokens/"), status_.Find(StageKind::kTokens)->tasks);
  EXPECT_NE(notices_.find("of an earlier version"), std::string::npos) << notices_;
  EXPECT_NE(notices_.find("building.set-aside-1"), std::string::npos) << notices_;
}

TEST_F(CoordinatorTest, FromScratchSetsTheCheckpointsAside) {
  cluster_.gangs_wait_for_stop = true;
  EXPECT_TRUE(absl::IsAborted(Run()));
  cluster_.gangs_wait_for_stop = false;
  cluster_.stops = 0;
  const std::string work = cluster_.assignments.at("autoencoder").work_dir;
  const std::string step = JoinPath(work, "checkpoints/step-00000001");
  ASSERT_TRUE(env_.CreateDirs(step).ok());
  from_scratch_ = true;
  ASSERT_TRUE(Run().ok());
  EXPECT_FALSE(env_.Exists(step));
  EXPECT_TRUE(env_.Exists(JoinPath(work, "checkpoints.set-aside-1/step-00000001")));
}

// What an input's damage is called by the worker that reads it (worker/inputs/artifacts.h).
TEST_F(CoordinatorTest, ADamagedInputIsNotTriedAgain) {
  cluster_.on_gang = [](const std::string&, int) { return FailedPrecondition("x: SHA-256 ..."); };
  EXPECT_TRUE(absl::IsFailedPrecondition(Run()));
  EXPECT_EQ(cluster_.launches["autoencoder"], 1);
}

// A committed checkpoint of one rank, as a gang would have left it in its work folder.
void LeaveCheckpoint(const cluster::StageAssignment& assignment, uint64_t step, float value) {
  Env& env = *Env::Posix();
  storage::CheckpointStore store(env, cluster::CheckpointsDir(assignment.work_dir));
  ASSERT_TRUE(store.Fence({assignment.claim, assignment.launch}).ok());
  const std::string_view bytes(reinterpret_cast<const char*>(&value), sizeof(value));
  const auto shard = store.WriteShard(step, 0, 1, {{"param.u", storage::DType::kF32, {1}, bytes}});
  ASSERT_TRUE(shard.ok()) << shard.status();
  storage::CheckpointManifest manifest;
  manifest.step = step;
  manifest.claim = assignment.claim;
  manifest.stage = assignment.stage;
  manifest.fingerprint = assignment.fingerprint;
  manifest.units = {{"u", 1, {{"u.weight", {1}, 0}}}};
  manifest.shards = {*shard};
  const absl::Status committed = store.Commit(manifest, 10);
  ASSERT_TRUE(committed.ok()) << committed;
}

TEST_F(CoordinatorTest, RaisedStepsGoOnFromTheCheckpointOfTheShorterRun) {
  ASSERT_TRUE(Run("[train]\nsteps = 16\nwarmup_steps = 1\ndecay = \"constant\"\n").ok());
  const cluster::StageAssignment shorter = cluster_.assignments.at("model");
  LeaveCheckpoint(shorter, 12, 1);
  LeaveCheckpoint(shorter, 16, 2);
  ASSERT_TRUE(
      WriteFileAtomically(env_, JoinPath(shorter.work_dir, "metrics.jsonl"), "{\"step\":1}\n")
          .ok());

  ASSERT_TRUE(Run("[train]\nsteps = 40\nwarmup_steps = 1\ndecay = \"constant\"\n").ok());
  const cluster::StageAssignment longer = cluster_.assignments.at("model");
  EXPECT_NE(longer.work_dir, shorter.work_dir);
  EXPECT_NE(notices_.find("model: goes on from step 16 of the run with train.steps = 16, kept in " +
                          shorter.work_dir),
            std::string::npos)
      << notices_;
  storage::CheckpointStore store(env_, cluster::CheckpointsDir(longer.work_dir));
  const auto found = store.FindLastGood();
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->manifest.step, 16u);
  EXPECT_EQ(found->manifest.fingerprint, longer.fingerprint);
  EXPECT_NE(found->manifest.spec_toml.find("steps = 40"), std::string::npos);
  EXPECT_EQ(*env_.ReadFile(JoinPath(longer.work_dir, "metrics.jsonl")), "{\"step\":1}\n");
  const auto record = ReadWorkRecord(env_, longer.work_dir);
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->continued_from, BaseName(shorter.work_dir));
  EXPECT_EQ(record->continued_step, 16u);
}

TEST_F(CoordinatorTest, ADamagedCheckpointOfTheShorterRunIsPassedOver) {
  ASSERT_TRUE(Run("[train]\nsteps = 16\nwarmup_steps = 1\ndecay = \"constant\"\n").ok());
  const cluster::StageAssignment shorter = cluster_.assignments.at("model");
  LeaveCheckpoint(shorter, 12, 1);
  LeaveCheckpoint(shorter, 16, 2);
  storage::CheckpointStore store(env_, cluster::CheckpointsDir(shorter.work_dir));
  const std::string shard =
      JoinPath(JoinPath(store.root(), *store.FindCommitted(16)), storage::ShardFileName(0, 1));
  std::string bytes = *env_.ReadFile(shard);
  bytes.back() ^= 1;
  ASSERT_TRUE(WriteFileAtomically(env_, shard, bytes).ok());
  ASSERT_TRUE(Run("[train]\nsteps = 40\nwarmup_steps = 1\ndecay = \"constant\"\n").ok());
  EXPECT_NE(
      notices_.find("model: the checkpoint of step 16 of the run with train.steps = 16 is passed "
                    "over: "),
      std::string::npos)
      << notices_;
  EXPECT_NE(notices_.find("model: goes on from step 12 of"), std::string::npos) << notices_;
}

TEST_F(CoordinatorTest, UnfinishedWorkOfOtherSettingsIsNamedAndLeft) {
  cluster_.gangs_wait_for_stop = true;
  EXPECT_TRUE(absl::IsAborted(Run("[autoencoder.train]\nlearning_rate = 0.5\n")));
  const cluster::StageAssignment unfinished = cluster_.assignments.at("autoencoder");
  LeaveCheckpoint(unfinished, 866, 1);
  cluster_.stops = 0;
  cluster_.gangs_wait_for_stop = false;
  ASSERT_TRUE(Run().ok());
  EXPECT_NE(
      notices_.find("autoencoder: unfinished: 866 steps with autoencoder.train.learning_rate = "
                    "0.5 are kept in " +
                    unfinished.work_dir +
                    ", not used, because autoencoder.train.learning_rate changed"),
      std::string::npos)
      << notices_;
  EXPECT_TRUE(storage::CheckpointStore(env_, cluster::CheckpointsDir(unfinished.work_dir))
                  .FindCommitted(866)
                  .ok());
}

TEST_F(CoordinatorTest, AnUnfinishedCacheOfOtherSettingsIsNamed) {
  FailLease("tokens/3", Fault::kStopJob);
  EXPECT_TRUE(absl::IsAborted(Run()));
  const std::string unfinished = cluster_.assignments.at("tokens").work_dir;
  EXPECT_TRUE(ReadWorkRecord(env_, unfinished).ok());
  cluster_.stops = 0;
  cluster_.on_lease = nullptr;
  const std::string corpus = JoinPath(root_, "corpus.txt");
  ASSERT_TRUE(WriteFileAtomically(env_, corpus, *env_.ReadFile(corpus) + "another text\n").ok());
  const absl::Status status = Run();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_NE(notices_.find("tokens: unfinished: tokens with source[0].sha256 = "), std::string::npos)
      << notices_;
  EXPECT_NE(notices_.find(" are kept in " + unfinished), std::string::npos) << notices_;
}

TEST_F(CoordinatorTest, AStatusSaysHowTheJobEndedAndHowLongItsRunsTook) {
  cluster_.gangs_wait_for_stop = true;
  EXPECT_TRUE(absl::IsAborted(Run()));
  JobStatus status = *ReadJobStatus(env_, home_, "t-1");
  EXPECT_EQ(status.state, jobs::JobState::kPreempted);
  EXPECT_EQ(status.exit_code, 4);
  EXPECT_EQ(status.Find(StageKind::kAutoencoder)->state, StageState::kInterrupted);
  const int64_t first_ms = status.TotalMs();
  EXPECT_GT(first_ms, 0);
  cluster_.stops = 0;
  cluster_.gangs_wait_for_stop = false;
  clock_.AdvanceMs(1'000'000'000'000);  // nobody runs it
  ASSERT_TRUE(Run().ok());
  status = *ReadJobStatus(env_, home_, "t-1");
  EXPECT_EQ(status.exit_code, 0);
  EXPECT_EQ(status.earlier_ms, first_ms);
  EXPECT_LT(status.TotalMs(), 1'000'000'000'000);
}

}  // namespace
}  // namespace halcyon::coordinator
