// Checkpoints of several writers: the fence, and commits that come after it was raised.
#include "storage/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <utility>

#include "tests/storage/checkpoint_fixture.h"

namespace halcyon::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(CheckpointTest, AnOlderIncarnationCanNeitherCommitNorWrite) {
  CheckpointStore old_rank(env_, kRoot);
  ASSERT_TRUE(old_rank.Fence({1}).ok());
  TestWrite old{.step = 200, .world_size = 1, .claim = 1};
  CheckpointManifest manifest = TestManifest(old);
  manifest.shards.push_back(*WriteTestShard(old_rank, old, 0));

  ASSERT_TRUE(store_.Fence({2}).ok());
  EXPECT_EQ(old_rank.Commit(manifest, 1).code(), absl::StatusCode::kAborted);
  EXPECT_THAT(*store_.ListCommitted(), IsEmpty());

  // Not even a checkpoint that the new one has committed at the same step is harmed.
  ASSERT_TRUE(Write({.step = 200, .world_size = 1, .claim = 2, .attempt = 1}).ok());
  EXPECT_EQ(WriteTestShard(old_rank, old, 0).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(old_rank.Commit(manifest, 1).code(), absl::StatusCode::kAborted);
  const auto found = store_.FindLastGood();
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->manifest.claim, 2u);
}

TEST_F(CheckpointTest, AnEarlierLaunchOfTheSameCoordinatorCanNeitherCommitNorWrite) {
  CheckpointStore old_rank(env_, kRoot);
  ASSERT_TRUE(old_rank.Fence({3, 1}).ok());
  const TestWrite write{.step = 200, .world_size = 1, .claim = 3};
  CheckpointManifest manifest = TestManifest(write);
  manifest.shards.push_back(*WriteTestShard(old_rank, write, 0));
  ASSERT_TRUE(store_.Fence({3, 2}).ok());
  EXPECT_EQ(*env_.ReadFile("/home/checkpoints/fence.3.2"), "3 2\n");
  EXPECT_EQ(old_rank.Commit(manifest, 1).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(WriteTestShard(old_rank, write, 0).status().code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(WriteTestShard(store_, write, 0).ok());
  EXPECT_TRUE(store_.Commit(manifest, 1).ok());
  EXPECT_TRUE(store_.Fence({4, 1}).ok()) << "a later claim begins with its first launch";
}

TEST_F(CheckpointTest, AFenceWithoutALaunchIsOfLaunchZero) {
  ASSERT_TRUE(env_.CreateDirs(kRoot).ok());
  ASSERT_TRUE(WriteFileAtomically(env_, "/home/checkpoints/fence", "7\n").ok());
  EXPECT_EQ(*store_.ReadFence(), (WriterFence{7, 0}));
  EXPECT_EQ(store_.Fence({6, 9}).code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(store_.Fence({7, 1}).ok());
}

// Another coordinator raises the fence in the middle of a commit: when `file` gets its name.
class FencingEnv : public testing::PowerCutEnv {
 public:
  explicit FencingEnv(std::string file) : file_(std::move(file)) {}
  absl::Status Rename(const std::string& from, const std::string& to) override {
    RETURN_IF_ERROR(PowerCutEnv::Rename(from, to));
    if (to != file_) return absl::OkStatus();
    return CheckpointStore(*this, kRoot).Fence({2});
  }
  static constexpr const char* kRoot = "/home/checkpoints";

 private:
  std::string file_;
};

TEST(CheckpointFencing, AWriterFencedOffBeforeCommitDoesNotCommit) {
  FencingEnv env("/home/checkpoints/step-00000200.1.0/manifest.json");
  ASSERT_TRUE(WriteCheckpoint(env, FencingEnv::kRoot, {.step = 100}).ok());
  const absl::Status status = WriteCheckpoint(env, FencingEnv::kRoot, {.step = 200});
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted) << status;
  EXPECT_THAT(*CheckpointStore(env, FencingEnv::kRoot).ListCommitted(), ElementsAre(100));
}

TEST(CheckpointFencing, AWriterFencedOffAfterCommitRemovesNothing) {
  FencingEnv env("/home/checkpoints/step-00000200.1.0/COMMIT");
  ASSERT_TRUE(WriteCheckpoint(env, FencingEnv::kRoot, {.step = 100}).ok());
  const absl::Status status = WriteCheckpoint(env, FencingEnv::kRoot, {.step = 200, .keep = 1});
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted) << status;
  EXPECT_THAT(*CheckpointStore(env, FencingEnv::kRoot).ListCommitted(), ElementsAre(100, 200));
  EXPECT_EQ(*env.ReadFile("/home/checkpoints/latest"), "step-00000100.1.0\n");
}

// A coordinator that is held up while it raises the fence, until another has taken its claim over.
class SlowFenceEnv : public testing::PowerCutEnv {
 public:
  absl::StatusOr<std::unique_ptr<WritableFile>> NewWritableFile(const std::string& path) override {
    const bool is_fence = path.starts_with(std::string(FencingEnv::kRoot) + "/fence");
    if (is_fence && meanwhile) std::exchange(meanwhile, nullptr)();
    return PowerCutEnv::NewWritableFile(path);
  }
  std::function<void()> meanwhile;
};

TEST(CheckpointFencing, AFenceThatIsRaisedTooLateChangesNothing) {
  SlowFenceEnv env;
  const TestWrite write{.step = 100, .world_size = 1, .claim = 2};
  env.meanwhile = [&] { ASSERT_TRUE(WriteCheckpoint(env, FencingEnv::kRoot, write).ok()); };
  CheckpointStore late(env, FencingEnv::kRoot);
  const absl::Status status = late.Fence({1, 5});
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_EQ(*late.ReadFence(), (WriterFence{2, 0}));
  EXPECT_THAT(*late.ListCommitted(), ElementsAre(100)) << "what is done is not undone";
  ASSERT_TRUE(late.Fence({3, 0}).ok());
  EXPECT_THAT(*late.ListCommitted(), ElementsAre(100));
  EXPECT_THAT(*env.ListDir(FencingEnv::kRoot), ::testing::Contains("fence.3.0"));
  EXPECT_THAT(*env.ListDir(FencingEnv::kRoot), ::testing::Not(::testing::Contains("fence.1.5")));
}

// The commit of a rank that was held up, or cut off, between its last look at the fence and COMMIT.
class LateCommitTest : public ::testing::Test {
 protected:
  // Another launch raises the fence just before COMMIT of step 200 gets its name.
  class Env : public testing::PowerCutEnv {
   public:
    absl::Status Rename(const std::string& from, const std::string& to) override {
      if (to == std::string(kRoot) + "/step-00000200.1.0/COMMIT") {
        RETURN_IF_ERROR(CheckpointStore(*this, kRoot).Fence({1, 1}));
      }
      return PowerCutEnv::Rename(from, to);
    }
  };
  static constexpr const char* kRoot = "/home/checkpoints";

  void SetUp() override {
    ASSERT_TRUE(WriteCheckpoint(env_, kRoot, {.step = 100}).ok());
    const absl::Status late = WriteCheckpoint(env_, kRoot, {.step = 200, .keep = 1});
    ASSERT_EQ(late.code(), absl::StatusCode::kAborted) << late;
    ASSERT_TRUE(env_.Exists(std::string(kRoot) + "/step-00000200.1.0/COMMIT"));
  }
  // The next launch's checkpoint.
  absl::Status Commit(uint64_t step) {
    TestWrite write{.step = step, .world_size = 1};
    CheckpointManifest manifest = TestManifest(write);
    RETURN_IF_ERROR(store_.Fence({1, 1}));
    ASSIGN_OR_RETURN(ShardFile shard, WriteTestShard(store_, write, 0));
    manifest.shards.push_back(std::move(shard));
    return store_.Commit(manifest, 2);
  }

  Env env_;
  CheckpointStore store_{env_, kRoot};
};

TEST_F(LateCommitTest, DoesNotCount) {
  EXPECT_EQ(*env_.ReadFile("/home/checkpoints/fence.1.1"), "1 1\nstep-00000100.1.0\n");
  EXPECT_THAT(*store_.ListCommitted(), ElementsAre(100));
  EXPECT_TRUE(absl::IsNotFound(store_.Load(200, true).status()));
  const auto found = store_.FindLastGood();
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->manifest.step, 100u);
  EXPECT_THAT(found->rejected,
              ElementsAre(HasSubstr("step-00000200.1.0: of claim 1, launch 0, which another")));
}

TEST_F(LateCommitTest, IsReplacedByThatOfTheNextLaunch) {
  ASSERT_TRUE(Commit(200).ok());
  EXPECT_THAT(*env_.ListDir(kRoot),
              ElementsAre("fence.1.1", "latest", "step-00000100.1.0", "step-00000200.1.1"));
  EXPECT_EQ(store_.FindLastGood()->manifest.world_size, 1u);
}

TEST_F(LateCommitTest, IsRemovedWithTheAttemptsOfEarlierSteps) {
  ASSERT_TRUE(Commit(300).ok());
  EXPECT_THAT(*env_.ListDir(kRoot),
              ElementsAre("fence.1.1", "latest", "step-00000100.1.0", "step-00000300.1.1"));
}

TEST_F(LateCommitTest, CountsNeitherAfterTheFenceHasRisenAgain) {
  ASSERT_TRUE(Commit(150).ok());
  ASSERT_TRUE(store_.Fence({2, 1}).ok());
  EXPECT_THAT(*store_.ListCommitted(), ElementsAre(100, 150));
}

TEST_F(CheckpointTest, OfOneStepTheLatestLaunchCounts) {
  ASSERT_TRUE(Write({.step = 100, .claim = 1}).ok());
  ASSERT_TRUE(store_.Fence({2, 0}).ok());
  const TestWrite write{.step = 100, .claim = 2, .attempt = 1};
  CheckpointManifest manifest = TestManifest(write);
  for (uint32_t rank : {0, 1, 2}) manifest.shards.push_back(*WriteTestShard(store_, write, rank));
  EXPECT_EQ(*store_.FindCommitted(100), "step-00000100.1.0") << "the other is not committed yet";
  ASSERT_TRUE(store_.Commit(manifest, 5).ok());
  EXPECT_EQ(*store_.FindCommitted(100), "step-00000100.2.0");
  EXPECT_FALSE(env_.Exists(Path(100, "COMMIT"))) << "the earlier one is not needed any more";
}

TEST_F(CheckpointTest, FoldersOfATimeWithoutFencesInTheirNamesCount) {
  const TestWrite write{.step = 100, .claim = 0};
  CheckpointManifest manifest = TestManifest(write);
  for (uint32_t rank : {0, 1, 2}) manifest.shards.push_back(*WriteTestShard(store_, write, rank));
  ASSERT_TRUE(store_.Commit(manifest, 5).ok());
  ASSERT_TRUE(env_.Exists("/home/checkpoints/step-00000100/COMMIT"));
  ASSERT_TRUE(WriteFileAtomically(env_, "/home/checkpoints/fence", "7 2\n").ok());
  EXPECT_THAT(*store_.ListCommitted(), ElementsAre(100));
  ASSERT_TRUE(Write({.step = 200, .claim = 8}).ok());
  EXPECT_EQ(*env_.ReadFile("/home/checkpoints/fence.8.0"), "8 0\nstep-00000100\n");
  EXPECT_THAT(*store_.ListCommitted(), ElementsAre(100, 200));
}

TEST_F(CheckpointTest, TheFenceOnlyRises) {
  ASSERT_TRUE(store_.Fence({9}).ok());
  EXPECT_TRUE(store_.Fence({9}).ok());
  EXPECT_TRUE(store_.Fence({10}).ok());
  const absl::Status lower = store_.Fence({9});
  EXPECT_EQ(lower.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(MessageOf(lower), HasSubstr("belongs to claim 10, launch 0 now; "
                                          "claim 9, launch 0 may not"));
}

TEST_F(CheckpointTest, ADamagedFenceStopsEverybody) {
  for (const std::string damaged :
       {"", "7", "x\n", "-1\n", "7\n7\n", "99999999999999999999\n", "7 8", "7 \n", " 8\n",
        "7 8 9\n", "7 x\n", "7 8\nx\n", "7 8\nstep-1\n", "7 8\n\n"}) {
    for (const std::string name : {"fence", "fence.7.8"}) {
      ASSERT_TRUE(env_.RemoveTree(kRoot).ok());
      ASSERT_TRUE(env_.CreateDirs(kRoot).ok());
      ASSERT_TRUE(WriteFileAtomically(env_, JoinPath(kRoot, name), damaged).ok());
      EXPECT_EQ(store_.Fence({1}).code(), absl::StatusCode::kDataLoss) << damaged;
      EXPECT_EQ(Write({.step = 1}).code(), absl::StatusCode::kDataLoss) << damaged;
    }
  }
}

}  // namespace
}  // namespace halcyon::storage
