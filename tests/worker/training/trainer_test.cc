#include "worker/training/trainer.h"

#include <filesystem>
#include <map>
#include <sstream>

#include "base/digest.h"
#include "cluster/outputs.h"
#include "storage/checkpoint_copy.h"
#include "tests/worker/training/trainer_fixture.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;

TEST_F(TrainerTest, ResumedEqualsUninterruptedBitForBit) {
  for (int ranks : {1, 2, 3}) {
    const std::string suffix = std::to_string(ranks);
    const Outcome whole = Run("whole" + suffix, ranks);
    ASSERT_TRUE(whole.status.ok()) << whole.status;
    const Outcome stopped = Run("parts" + suffix, ranks, /*stop_at=*/6);
    EXPECT_TRUE(absl::IsAborted(stopped.status)) << stopped.status;
    const Outcome resumed = Run("parts" + suffix, ranks);
    ASSERT_TRUE(resumed.status.ok()) << resumed.status;
    EXPECT_EQ(resumed.figures.front()["resumed_from"], 7) << resumed.figures.front();
    EXPECT_EQ(resumed.result["content_digest"], whole.result["content_digest"]);
  }
}

// Whatever the ranks keep for themselves: the same bits, also by way of a checkpoint of another
// sharding.
TEST_F(TrainerTest, EveryShardingResumesBitForBit) {
  using jobs::Sharding;
  options_.checkpoint.every = 100;  // at the stop and at the end
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    options_.fsdp = {.gather_type = type};
    const std::string kind = type == at::kFloat ? "float" : "bfloat";
    const Outcome whole = Run("whole" + kind, 4);
    ASSERT_TRUE(whole.status.ok()) << whole.status;
    for (const Sharding first : {Sharding::kFull, Sharding::kGradient, Sharding::kNone}) {
      for (const Sharding then : {Sharding::kFull, Sharding::kGradient, Sharding::kNone}) {
        const std::string work =
            kind + std::to_string(static_cast<int>(first)) + std::to_string(static_cast<int>(then));
        options_.fsdp = {.sharding = first, .recompute = 1, .gather_type = type};
        EXPECT_TRUE(absl::IsAborted(Run(work, 4, /*stop_at=*/6).status));
        options_.fsdp = {.sharding = then, .gather_type = type};
        const Outcome resumed = Run(work, 4);
        ASSERT_TRUE(resumed.status.ok()) << resumed.status;
        EXPECT_EQ(resumed.figures.front()["resumed_from"], 7);
        EXPECT_EQ(resumed.result["content_digest"], whole.result["content_digest"]) << work;
      }
    }
  }
}

// What ranks that died in the middle left in the folder is gone.
TEST_F(TrainerTest, LargeWeightsAreCutTheSameByAnyNumberOfRanks) {
  options_.shard_bytes_max = 150;
  std::map<int, json> results;
  for (const int ranks : {1, 3}) {
    const std::string work = "ranks" + std::to_string(ranks);
    options_.assignment.work_dir = WorkDir(work);
    const std::string out = cluster::GangOutputDir(options_.assignment);
    ASSERT_TRUE(Env::Posix()->CreateDirs(out).ok());
    ASSERT_TRUE(
        WriteFileAtomically(*Env::Posix(), out + "/model-00001-of-00009.safetensors", "x").ok());
    const Outcome outcome = Run(work, ranks);
    ASSERT_TRUE(outcome.status.ok()) << outcome.status;
    EXPECT_EQ(outcome.result["content_digest"], *storage::DigestOfWeights(*Env::Posix(), out));
    EXPECT_EQ(Env::Posix()->ListDir(out)->size(), 7u)
        << "three shards, index, job, metrics, samples";
    results[ranks] = outcome.result;
  }
  EXPECT_EQ(results[1]["bytes"], results[3]["bytes"]);
}

// Slices of a hybrid gang are not in the order of its ranks; a checkpoint must not depend on that.
TEST_F(TrainerTest, HybridResumesBitForBit) {
  ranks_per_node_ = 2;
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    options_.fsdp = {.sharding = jobs::Sharding::kHybrid, .gather_type = type};
    const std::string kind = type == at::kFloat ? "float" : "bfloat";
    const Outcome whole = Run("whole" + kind, 4);
    ASSERT_TRUE(whole.status.ok()) << whole.status;
    EXPECT_TRUE(absl::IsAborted(Run("parts" + kind, 4, /*stop_at=*/6).status));
    EXPECT_EQ(Run("parts" + kind, 4).result["content_digest"], whole.result["content_digest"]);
  }
}

TEST_F(TrainerTest, WhatFourRanksSavedAnyNumberGoesOnWith) {
  using jobs::Sharding;
  options_.checkpoint.every = 100;  // at the stop and at the end
  ranks_per_node_ = 2;
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const Sharding sharding :
         {Sharding::kFull, Sharding::kGradient, Sharding::kNone, Sharding::kHybrid}) {
      options_.fsdp = {.sharding = sharding, .gather_type = type};
      const std::string work = std::to_string(static_cast<int>(sharding)) + c10::toString(type);
      const Outcome whole = Run("whole" + work, 4);
      ASSERT_TRUE(whole.status.ok()) << whole.status;
      const double loss = whole.result["facts"]["loss"];
      EXPECT_TRUE(absl::IsAborted(Run("stopped" + work, 4, /*stop_at=*/6).status));
      for (const int ranks : {3, 2, 4}) {
        const std::string parts = "parts" + work + std::to_string(ranks);
        std::filesystem::copy(WorkDir("stopped" + work), WorkDir(parts),
                              std::filesystem::copy_options::recursive);
        // Three ranks on nodes of two are no hybrid gang.
        const bool is_uneven = ranks == 3 && sharding == Sharding::kHybrid;
        options_.fsdp.sharding = is_uneven ? Sharding::kFull : sharding;
        const Outcome other = Run(parts, ranks);
        ASSERT_TRUE(other.status.ok()) << other.status;
        if (ranks == 4) {
          EXPECT_EQ(other.result["content_digest"], whole.result["content_digest"]);
        }
        EXPECT_EQ(other.figures.front()["resumed_from"], 7);
        // Sums of other samples are rounded, in bfloat16 to 8 bits.
        const double allowed = type == at::kFloat ? 1e-5 : 1e-2;
        EXPECT_NEAR(other.result["facts"]["loss"].get<double>(), loss, allowed * loss) << parts;
      }
    }
  }
}

TEST_F(TrainerTest, EveryStepReportsWhereItsTimeWent) {
  const Outcome outcome = Run("times", 2);
  const json& facts = outcome.result["facts"];
  for (const char* name : {"step_seconds", "optimizer_seconds", "data_wait_seconds",
                           "communication_seconds", "communication_wait_seconds"}) {
    ASSERT_TRUE(facts.contains(name)) << name;
    EXPECT_GE(facts[name].get<double>(), 0) << name;
  }
  EXPECT_FALSE(facts.contains("flop_utilisation")) << "without the model's FLOPs";
  EXPECT_GT(facts["memory_peak_bytes"], 0);
  EXPECT_FALSE(facts.contains("memory_bytes_min")) << "without the formula's figure";
  EXPECT_LE(facts["optimizer_seconds"], facts["step_seconds"]);
  EXPECT_LE(facts["communication_wait_seconds"], facts["step_seconds"]);
}

TEST_F(TrainerTest, UtilisationIsTheModelsArithmeticByTheRanksRate) {
  options_.step_flops = 1e6;
  const json facts = Run("rate", 2).result["facts"];
  const double rate = facts["matrix_flops_per_s"];
  EXPECT_GT(rate, 1e6) << "no processor is that slow";
  EXPECT_NEAR(facts["flop_utilisation"].get<double>(),
              1e6 / (rate * facts["step_seconds"].get<double>()), 1e-9);
}

TEST_F(TrainerTest, SamplesThatCannotBeReadEndTheStepThatNeedsThem) {
  fails_to_load_ = 5;
  const Outcome outcome = Run("unread", 2);
  EXPECT_EQ(MessageOf(outcome.status), "step 5: page 7: checksum");
  storage::CheckpointStore store(*Env::Posix(), WorkDir("unread") + "/checkpoints");
  EXPECT_EQ(store.ListCommitted()->size(), 1u) << "that of step 4";
}

// One rank's is all ranks' by the gradient's norm; nothing of it is saved.
TEST_F(TrainerTest, ALossThatIsNoNumberEndsTheStepOnAllRanks) {
  const Outcome whole = Run("whole", 3);
  for (const jobs::Sharding sharding :
       {jobs::Sharding::kFull, jobs::Sharding::kGradient, jobs::Sharding::kNone}) {
    options_.fsdp.sharding = sharding;
    const std::string work = "nan" + std::to_string(static_cast<int>(sharding));
    gives_nan_ = 5;
    const Outcome outcome = Run(work, 3);
    EXPECT_TRUE(absl::IsFailedPrecondition(outcome.status)) << outcome.status;
    ASSERT_EQ(outcome.of_ranks.size(), 1u) << "all ranks end alike";
    EXPECT_TRUE(outcome.of_ranks.begin()->starts_with("step 5: the loss or its gradient"));
    storage::CheckpointStore store(*Env::Posix(), WorkDir(work) + "/checkpoints");
    EXPECT_EQ(*store.ListCommitted(), std::vector<uint64_t>{4});
    gives_nan_.reset();
    EXPECT_EQ(Run(work, 3).result["content_digest"], whole.result["content_digest"]);
  }
}

TEST_F(TrainerTest, AFlippedByteFallsBackAndStillGivesTheSameWeights) {
  const Outcome whole = Run("whole", 2);
  ASSERT_TRUE(Run("parts", 2, /*stop_at=*/9).status.ok() == false);
  storage::CheckpointStore store(*Env::Posix(), WorkDir("parts") + "/checkpoints");
  const std::string shard =
      JoinPath(JoinPath(store.root(), *store.FindCommitted(10)), storage::ShardFileName(1, 2));
  std::string bytes = *Env::Posix()->ReadFile(shard);
  bytes[bytes.size() - 3] ^= 0x10;
  ASSERT_TRUE(WriteFileAtomically(*Env::Posix(), shard, bytes).ok());
  const Outcome resumed = Run("parts", 2);
  ASSERT_TRUE(resumed.status.ok()) << resumed.status;
  EXPECT_EQ(resumed.figures.front()["resumed_from"], 8);
  EXPECT_NE(resumed.figures.front()["rejected_checkpoints"].dump().find("step-00000010"),
            std::string::npos);
  EXPECT_EQ(resumed.result["content_digest"], whole.result["content_digest"]);
}

TEST_F(TrainerTest, WithoutAWholeCheckpointTrainingDoesNotStartOver) {
  ASSERT_TRUE(absl::IsAborted(Run("parts", 2, /*stop_at=*/9).status));
  Env& env = *Env::Posix();
  const std::string checkpoints = WorkDir("parts") + "/checkpoints";
  const auto names = env.ListDir(checkpoints);
  for (const std::string& name : *names) {
    if (!name.starts_with("step-")) continue;
    ASSERT_TRUE(
        WriteFileAtomically(env, JoinPath(checkpoints, name) + "/manifest.json", "{}").ok());
  }
  const Outcome refused = Run("parts", 2);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status)) << refused.status;
  EXPECT_NE(MessageOf(refused.status).find("--from-scratch"), std::string::npos);
  EXPECT_TRUE(refused.figures.empty()) << "not a step was made";
}

TEST_F(TrainerTest, EvaluatingLeavesTheWeightsAlone) {
  const Outcome without = Run("without", 2);
  options_.evaluate_every = 3;
  const Outcome with = Run("with", 2);
  EXPECT_EQ(with.result["content_digest"], without.result["content_digest"]);
  int evaluations = 0;
  for (const json& figures : with.figures) evaluations += figures.contains("eval");
  EXPECT_EQ(evaluations, 3);  // after 3, 6 and 9; the one after 12 is the final one
}

TEST_F(TrainerTest, RanksAndMicroBatchesAgreeWithinRounding) {
  const double alone = Run("r1", 1).result["facts"]["loss"];
  EXPECT_NEAR(Run("r2", 2).result["facts"]["loss"].get<double>(), alone, 1e-5 * alone);
  EXPECT_NEAR(Run("r3", 3).result["facts"]["loss"].get<double>(), alone, 1e-5 * alone);
  EXPECT_NEAR(Run("r4", 4).result["facts"]["loss"].get<double>(), alone, 1e-5 * alone);
  train_.micro_batch = 2;
  EXPECT_NEAR(Run("m2", 1).result["facts"]["loss"].get<double>(), alone, 1e-5 * alone);
}

TEST_F(TrainerTest, ACheckpointLoadsUnderAnotherNumberOfRanks) {
  const double alone = Run("whole", 1).result["facts"]["loss"];
  ASSERT_TRUE(absl::IsAborted(Run("parts", 3, /*stop_at=*/5).status));
  const Outcome resumed = Run("parts", 2);
  ASSERT_TRUE(resumed.status.ok()) << resumed.status;
  EXPECT_EQ(resumed.figures.front()["bits_may_differ"]["ranks"], "3 -> 2");
  EXPECT_NEAR(resumed.result["facts"]["loss"].get<double>(), alone, 1e-5 * alone);
}

TEST_F(TrainerTest, ACheckpointOfAnotherStageIsRefused) {
  ASSERT_TRUE(absl::IsAborted(Run("parts", 1, /*stop_at=*/5).status));
  options_.assignment.fingerprint = std::string(64, 'b');
  EXPECT_TRUE(absl::IsFailedPrecondition(Run("parts", 1).status));
}

TEST_F(TrainerTest, AnOldIncarnationCannotCommit) {
  ASSERT_TRUE(Env::Posix()->CreateDirs(WorkDir("fenced") + "/checkpoints").ok());
  storage::CheckpointStore store(*Env::Posix(), WorkDir("fenced") + "/checkpoints");
  ASSERT_TRUE(store.Fence({2}).ok());
  EXPECT_TRUE(absl::IsAborted(Run("fenced", 2).status));
  EXPECT_TRUE(store.ListCommitted()->empty());
}

TEST_F(TrainerTest, AnEarlierLaunchCannotCommit) {
  ASSERT_TRUE(Env::Posix()->CreateDirs(WorkDir("fenced") + "/checkpoints").ok());
  storage::CheckpointStore store(*Env::Posix(), WorkDir("fenced") + "/checkpoints");
  ASSERT_TRUE(store.Fence({1, 3}).ok());
  options_.assignment.launch = 2;
  EXPECT_TRUE(absl::IsAborted(Run("fenced", 2).status));
  EXPECT_TRUE(store.ListCommitted()->empty());
}

TEST_F(TrainerTest, AStopBeforeTheFirstStepDoesNone) {
  stop_in_ = "loading";
  const Outcome stopped = Run("parts", 2);
  EXPECT_TRUE(absl::IsAborted(stopped.status)) << stopped.status;
  storage::CheckpointStore store(*Env::Posix(), WorkDir("parts") + "/checkpoints");
  EXPECT_TRUE(store.ListCommitted()->empty());
}

TEST_F(TrainerTest, AStopInAnEvaluationSavesAtOnce) {
  options_.evaluate_every = 3;
  stop_in_ = "evaluating";
  EXPECT_TRUE(absl::IsAborted(Run("parts", 2).status));
  storage::CheckpointStore store(*Env::Posix(), WorkDir("parts") + "/checkpoints");
  EXPECT_EQ(*store.ListCommitted(), std::vector<uint64_t>{3});
}

// What the coordinator does when only the number of steps was raised.
TEST_F(TrainerTest, GoingOnFromAShorterRunGivesTheWeightsOfTheLongOne) {
  for (const int ranks : {1, 3}) {
    const std::string suffix = std::to_string(ranks);
    options_.assignment.fingerprint = std::string(64, 'a');
    train_.decay = jobs::LearningRateDecay::kConstant;
    train_.steps = 12;
    ASSERT_TRUE(Run("short" + suffix, ranks).status.ok());
    options_.assignment.fingerprint = std::string(64, 'b');
    train_.steps = 21;
    const Outcome whole = Run("whole" + suffix, ranks);
    ASSERT_TRUE(whole.status.ok()) << whole.status;
    Env& env = *Env::Posix();
    storage::CheckpointStore from(env, WorkDir("short" + suffix) + "/checkpoints");
    storage::CheckpointStore to(env, WorkDir("more" + suffix) + "/checkpoints");
    ASSERT_TRUE(to.Fence({1, 0}).ok());
    const absl::Status copied = storage::CopyCheckpoint(
        env, from, 12, to, {options_.assignment.fingerprint, options_.spec_toml, 1}, 3);
    ASSERT_TRUE(copied.ok()) << copied;
    const Outcome more = Run("more" + suffix, ranks);
    ASSERT_TRUE(more.status.ok()) << more.status;
    EXPECT_EQ(more.figures.front()["resumed_from"], 12);
    EXPECT_EQ(more.result["content_digest"], whole.result["content_digest"]);
  }
}

TEST_F(TrainerTest, MetricsHaveTheirTimesAndStayWithTheWeights) {
  options_.memory_bytes_min = 12345;
  const int64_t before_ms = Clock::Real()->WallMs();
  const Outcome outcome = Run("job", 2);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  const int64_t after_ms = Clock::Real()->WallMs();
  cluster::StageAssignment assignment = options_.assignment;
  assignment.work_dir = WorkDir("job");
  const std::string kept =
      *Env::Posix()->ReadFile(cluster::GangOutputDir(assignment) + "/metrics.jsonl");
  EXPECT_EQ(kept, *Env::Posix()->ReadFile(WorkDir("job") + "/metrics.jsonl"));
  std::istringstream lines(kept);
  uint64_t step = 0;
  for (std::string line; std::getline(lines, line);) {
    const json record = json::parse(line);
    EXPECT_EQ(record["step"], ++step);
    EXPECT_GE(record["time_ms"], before_ms);
    EXPECT_LE(record["time_ms"], after_ms);
    const double seconds = record["step_seconds"];
    EXPECT_GE(seconds, 0);
    if (seconds > 0) {
      EXPECT_NEAR(record["tokens_per_s"].get<double>() * seconds,
                  static_cast<double>(train_.batch) * ToyTrainee(train_).tokens_per_sample(), 1e-6);
    }
    for (const char* name : {"loss", "grad_norm", "learning_rate"}) {
      EXPECT_TRUE(record[name].is_number()) << name;
    }
    EXPECT_GT(record["memory_peak_bytes"], int64_t{1} << 20) << "of both ranks";
    EXPECT_EQ(record["memory_bytes_min"], 12345);
  }
  EXPECT_EQ(step, 12u);
}

TEST_F(TrainerTest, AStageThatResumesBehindItsLastStepStillReportsItsLoss) {
  const Outcome whole = Run("job", 1);
  ASSERT_TRUE(whole.status.ok()) << whole.status;
  const Outcome again = Run("job", 1);
  ASSERT_TRUE(again.status.ok()) << again.status;
  EXPECT_EQ(again.figures.front()["resumed_from"], 12);
  EXPECT_EQ(again.result["facts"]["loss"], whole.result["facts"]["loss"]);
  EXPECT_EQ(again.result["facts"]["grad_norm"], whole.result["facts"]["grad_norm"]);
}

TEST_F(TrainerTest, LearnsAndKeepsMetricsOfEachStepOnce) {
  ASSERT_TRUE(absl::IsAborted(Run("parts", 1, /*stop_at=*/6).status));
  ASSERT_TRUE(Run("parts", 1).status.ok());
  const std::string lines = *Env::Posix()->ReadFile(WorkDir("parts") + "/metrics.jsonl");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 12);
  const json first = json::parse(lines.substr(0, lines.find('\n')));
  train_.steps = 60;
  options_.assignment.fingerprint = std::string(64, 'c');
  const Outcome longer = Run("longer", 1);
  EXPECT_LT(longer.result["facts"]["loss"].get<double>(), 0.5 * first["loss"].get<double>());
}

}  // namespace
}  // namespace halcyon::worker
