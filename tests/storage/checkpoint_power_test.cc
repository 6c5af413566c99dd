// Checkpoints when the power goes, or the disk fills, at every single write.
#include <gtest/gtest.h>

#include "tests/storage/checkpoint_fixture.h"

namespace halcyon::storage {
namespace {

constexpr char kRoot[] = "/home/checkpoints";
constexpr uint64_t kOutcomes = 4;

// Whatever has a COMMIT verifies, and `latest` names one of those unless that step was being
// rewritten: a crash alone never looks like damage.
void ExpectNothingLooksDamaged(CheckpointStore& store, Env& env, uint64_t rewritten) {
  const auto committed = store.ListCommitted();
  ASSERT_TRUE(committed.ok()) << committed.status();
  bool latest_is_there = false;
  const auto latest = env.ReadFile(JoinPath(kRoot, "latest"));
  for (const uint64_t step : *committed) {
    EXPECT_TRUE(store.Load(step, true).ok()) << store.Load(step, true).status();
    latest_is_there |= *latest == CheckpointName(step, {1, 0}) + "\n";
  }
  EXPECT_TRUE(latest_is_there || *latest == CheckpointName(rewritten, {1, 0}) + "\n") << *latest;
}

// Runs `before`, then `last`, cutting the power after each possible number of operations of `last`,
// with each choice. Afterwards one of `allowed` must be found whole, and the run can go on.
void CutEverywhere(const std::vector<TestWrite>& before, const TestWrite& last,
                   const std::vector<TestWrite>& allowed) {
  bool completed = false;
  uint64_t cut = 0;
  for (; !completed; ++cut) {
    for (uint64_t outcome = 0; outcome < kOutcomes; ++outcome) {
      SCOPED_TRACE("power cut after " + std::to_string(cut) + ", outcome " +
                   std::to_string(outcome));
      testing::PowerCutEnv env;
      for (const TestWrite& write : before) ASSERT_TRUE(WriteCheckpoint(env, kRoot, write).ok());
      env.CutPowerAfter(cut);
      completed = WriteCheckpoint(env, kRoot, last).ok();
      env.Restart(testing::SurvivalOf(outcome));

      CheckpointStore store(env, kRoot);
      const auto found = store.FindLastGood();
      ASSERT_TRUE(found.ok()) << found.status();
      const TestWrite* match = completed ? &last : nullptr;
      for (const TestWrite& write : allowed) {
        if (match == nullptr && found->manifest.step == write.step &&
            found->manifest.runtime.at("attempt") == std::to_string(write.attempt)) {
          match = &write;
        }
      }
      ASSERT_NE(match, nullptr) << "step " << found->manifest.step << " must not be found";
      ExpectHolds(store, found->manifest, *match);
      const bool rewrites = before.back().step == last.step;
      ExpectNothingLooksDamaged(store, env, rewrites ? last.step : 0);

      const absl::Status again = WriteCheckpoint(env, kRoot, last);
      ASSERT_TRUE(again.ok()) << again;
      ExpectHolds(store, store.FindLastGood()->manifest, last);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
  EXPECT_GT(cut, 20u);  // the protocol has more writes than that: all were tried
}

TEST(CheckpointPower, ANewStepIsThereWholeOrNotAtAll) {
  const TestWrite old{.step = 100}, last{.step = 200};
  CutEverywhere({old}, last, {old, last});
}

TEST(CheckpointPower, PruningLosesNothingItShouldKeep) {
  const TestWrite oldest{.step = 100}, old{.step = 200}, last{.step = 300, .keep = 1};
  CutEverywhere({oldest, old}, last, {old, last});
}

TEST(CheckpointPower, RewritingACommittedStepNeverMixesOldAndNew) {
  const TestWrite older{.step = 100}, old{.step = 200}, last{.step = 200, .attempt = 1};
  CutEverywhere({older, old}, last, {older, old, last});
}

TEST(CheckpointPower, RewritingWithAnotherWorldSize) {
  const TestWrite older{.step = 100}, old{.step = 200};
  const TestWrite last{.step = 200, .world_size = 2, .attempt = 1};
  CutEverywhere({older, old}, last, {older, old, last});
}

TEST(CheckpointPower, CommittingTheSameShardsAgainUnderAnotherManifest) {
  for (uint64_t cut = 0; cut < 24; ++cut) {
    for (uint64_t outcome = 0; outcome < kOutcomes; ++outcome) {
      SCOPED_TRACE("power cut after " + std::to_string(cut) + ", outcome " +
                   std::to_string(outcome));
      testing::PowerCutEnv env;
      const TestWrite older{.step = 100}, old{.step = 200};
      for (const TestWrite& write : {older, old}) {
        ASSERT_TRUE(WriteCheckpoint(env, kRoot, write).ok());
      }
      CheckpointStore store(env, kRoot);
      ASSERT_TRUE(store.Fence({1, 0}).ok());
      CheckpointManifest manifest = *store.Load(200, true);
      manifest.seed = 2;
      env.CutPowerAfter(cut);
      const bool completed = store.Commit(manifest, 10).ok();
      env.Restart(testing::SurvivalOf(outcome));
      ExpectNothingLooksDamaged(store, env, 200);
      if (completed) {
        EXPECT_EQ(store.FindLastGood()->manifest.seed, 2u);
      }
    }
  }
}

TEST(CheckpointPower, AShardIsOnTheDiskWhenWriteShardReturns) {
  testing::PowerCutEnv env;
  ASSERT_TRUE(WriteCheckpoint(env, kRoot, {.step = 100, .world_size = 3}).ok());
  CheckpointStore store(env, kRoot);
  ASSERT_TRUE(store.Fence({1, 0}).ok());
  ASSERT_TRUE(WriteTestShard(store, {.step = 100, .world_size = 2}, 1).ok());
  env.Restart(testing::SurvivalOf(0));
  EXPECT_TRUE(
      SafetensorsFile::Open(env, std::string(kRoot) + "/step-00000100.1.0/rank-1-of-2.safetensors")
          .ok());
}

TEST(CheckpointPower, RaisingTheFenceNeverLowersIt) {
  for (uint64_t cut = 0; cut < 8; ++cut) {
    for (uint64_t outcome = 0; outcome < kOutcomes; ++outcome) {
      testing::PowerCutEnv env;
      ASSERT_TRUE(WriteCheckpoint(env, kRoot, {.step = 100, .claim = 9}).ok());
      env.CutPowerAfter(cut);
      const bool raised = CheckpointStore(env, kRoot).Fence({10}).ok();
      env.Restart(testing::SurvivalOf(outcome));
      EXPECT_EQ(CheckpointStore(env, kRoot).Fence({8}).code(), absl::StatusCode::kAborted);
      if (raised) {
        EXPECT_EQ(CheckpointStore(env, kRoot).Fence({9}).code(), absl::StatusCode::kAborted);
      }
    }
  }
}

// Every number of bytes at which the disk can be full.
TEST(CheckpointPower, AFullDiskIsReportedAndLeavesTheOlderCheckpoint) {
  const TestWrite old{.step = 100, .world_size = 2}, last{.step = 200, .world_size = 2};
  bool completed = false;
  uint64_t room = 0;
  for (; !completed; room += 13) {
    SCOPED_TRACE("room for " + std::to_string(room) + " bytes");
    testing::PowerCutEnv env;
    ASSERT_TRUE(WriteCheckpoint(env, kRoot, old).ok());
    env.LimitBytes(room);
    const absl::Status status = WriteCheckpoint(env, kRoot, last);
    completed = status.ok();
    if (!completed) {
      EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
      EXPECT_THAT(MessageOf(status), ::testing::HasSubstr(kRoot));
    }
    env.LimitBytes(testing::PowerCutEnv::kNever);
    CheckpointStore store(env, kRoot);
    auto found = store.FindLastGood();
    ASSERT_TRUE(found.ok()) << found.status();
    ExpectHolds(store, found->manifest, found->manifest.step == 200 ? last : old);
    EXPECT_TRUE(!completed || found->manifest.step == 200);
    ASSERT_TRUE(WriteCheckpoint(env, kRoot, last).ok());
    found = store.FindLastGood();
    ExpectHolds(store, found->manifest, last);
  }
  EXPECT_GT(room, 2000u);
}

}  // namespace
}  // namespace halcyon::storage
