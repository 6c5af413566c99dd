#include "storage/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/digest.h"
#include "storage/checkpoint_manifest.h"
#include "tests/storage/checkpoint_fixture.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/unreadable_env.h"

namespace halcyon::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// --- what is written is what is read ---

TEST_F(CheckpointTest, HoldsWhatWasWrittenWhateverTheWorldSize) {
  for (const uint32_t world_size : {1u, 2u, 3u, 7u, 16u}) {
    const TestWrite write{.step = 100 * world_size, .world_size = world_size};
    ASSERT_TRUE(Write(write).ok());
    const auto found = store_.FindLastGood();
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_THAT(found->rejected, IsEmpty());
    ExpectHolds(store_, found->manifest, write);
  }
}

TEST_F(CheckpointTest, AShardOfAnyOtherWorldSizeCanBeReadWithZerosPastTheEnd) {
  const TestWrite write{.step = 5, .world_size = 3};
  ASSERT_TRUE(Write(write).ok());
  const auto manifest = store_.Load(5, true);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  for (const uint64_t world_size : {1, 2, 4, 10}) {
    const uint64_t length = (7 + world_size - 1) / world_size;
    for (uint64_t rank = 0; rank < world_size; ++rank) {
      std::vector<float> shard(length, -7.0f);
      ASSERT_TRUE(store_.ReadFlat(*manifest, "exp_avg", "block-0", rank * length, shard).ok());
      for (uint64_t i = 0; i < length; ++i) {
        const uint64_t index = rank * length + i;
        EXPECT_EQ(shard[i], index < 7 ? ValueOf(5, 0, "exp_avg", "block-0", index) : 0.0f);
      }
    }
  }
  std::vector<float> beyond(3, 1.0f);
  ASSERT_TRUE(store_.ReadFlat(*manifest, "param", "embed", ~uint64_t{0} - 1, beyond).ok());
  EXPECT_THAT(beyond, ElementsAre(0.0f, 0.0f, 0.0f));
}

TEST_F(CheckpointTest, ReadFlatNamesWhatIsMissingOrOfAnotherKind) {
  ASSERT_TRUE(Write({.step = 5, .world_size = 2}).ok());
  CheckpointManifest manifest = *store_.Load(5, true);
  std::vector<float> out(1);
  EXPECT_THAT(MessageOf(store_.ReadFlat(manifest, "param", "head", 0, out)),
              HasSubstr("manifest.json: no unit \"head\""));
  EXPECT_THAT(MessageOf(store_.ReadFlat(manifest, "momentum", "embed", 0, out)),
              HasSubstr("rank-0-of-2.safetensors: no tensor \"momentum.embed\""));
  manifest.units[0].numel = 20;
  EXPECT_THAT(MessageOf(store_.ReadFlat(manifest, "param", "embed", 0, out)),
              HasSubstr("\"param.embed\" is F32 of 20 bytes, expected F32 of 40"));
  ASSERT_TRUE(env_.RemoveFile(Path(5, "rank-0-of-2.safetensors")).ok());
  EXPECT_EQ(store_.ReadFlat(manifest, "param", "embed", 0, out).code(),
            absl::StatusCode::kDataLoss);
}

TEST_F(CheckpointTest, FilesAreAsTheFormatSays) {
  ASSERT_TRUE(Write({.step = 100, .world_size = 2, .claim = 7}).ok());
  EXPECT_EQ(*env_.ReadFile("/home/checkpoints/fence.7.0"), "7 0\n");
  EXPECT_EQ(*env_.ReadFile("/home/checkpoints/latest"), "step-00000100.7.0\n");
  EXPECT_THAT(
      *env_.ListDir("/home/checkpoints/step-00000100.7.0"),
      ElementsAre("COMMIT", "manifest.json", "rank-0-of-2.safetensors", "rank-1-of-2.safetensors"));
  EXPECT_EQ(*env_.ReadFile(Path(100, "COMMIT", 7)),
            Sha256::Of(*env_.ReadFile(Path(100, "manifest.json", 7))) + "  manifest.json\n");
  const auto shard = SafetensorsFile::Open(env_, Path(100, "rank-1-of-2.safetensors", 7));
  ASSERT_TRUE(shard.ok()) << shard.status();
  EXPECT_EQ((*shard)->header().metadata, (std::map<std::string, std::string>{
                                             {"rank", "1"}, {"step", "100"}, {"world_size", "2"}}));
  EXPECT_EQ(CheckpointName(123456789, {3, 2}), "step-123456789.3.2");
}

TEST(CheckpointOnDisk, WritesFallsBackAndPrunes) {
  std::string pattern = ::testing::TempDir() + "checkpoint-XXXXXX";
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  Env& env = *Env::Posix();
  const std::string root = JoinPath(pattern, "deep/checkpoints");
  for (const uint64_t step : {100, 200, 300}) {
    ASSERT_TRUE(WriteCheckpoint(env, root, {.step = step, .keep = 2}).ok());
  }
  CheckpointStore store(env, root);
  EXPECT_THAT(*store.ListCommitted(), ElementsAre(200, 300));
  EXPECT_FALSE(env.Exists(JoinPath(root, "step-00000100.1.0")));
  ASSERT_TRUE(env.RemoveFile(JoinPath(root, "step-00000300.1.0/rank-2-of-3.safetensors")).ok());
  const auto found = store.FindLastGood();
  ASSERT_TRUE(found.ok()) << found.status();
  ExpectHolds(store, found->manifest, {.step = 200});
  ASSERT_TRUE(env.RemoveTree(pattern).ok());
}

// --- damage ---

class DamagedCheckpointTest : public CheckpointTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Write({.step = 100}).ok());
    ASSERT_TRUE(Write({.step = 200}).ok());
  }
  void FlipByte(const std::string& file, uint64_t offset) {
    env_.Contents(Path(200, file)).at(offset) ^= 0x10;
  }
  void Truncate(const std::string& file, uint64_t size) {
    env_.Contents(Path(200, file)).resize(size);
  }
  void Remove(const std::string& file) { ASSERT_TRUE(env_.RemoveFile(Path(200, file)).ok()); }
  // Writes a manifest and the COMMIT that belongs to it.
  void Recommit(const std::string& manifest) {
    env_.Contents(Path(200, "manifest.json")) = manifest;
    env_.Contents(Path(200, "COMMIT")) = CommitLine(manifest);
  }
  std::string Manifest() { return env_.Contents(Path(200, "manifest.json")); }

  void ExpectFallsBack(const std::string& reason) {
    CheckpointStore reopened(env_, kRoot);
    const auto found = reopened.FindLastGood();
    ASSERT_TRUE(found.ok()) << found.status();
    ExpectHolds(reopened, found->manifest, {.step = 100});
    ASSERT_EQ(found->rejected.size(), 1u);
    EXPECT_THAT(found->rejected[0], ::testing::StartsWith("step-00000200.1.0: "));
    EXPECT_THAT(found->rejected[0], HasSubstr(reason));
  }
};

constexpr char kShard[] = "rank-1-of-3.safetensors";

TEST_F(DamagedCheckpointTest, AFlippedByteAnywhereInAShard) {
  const uint64_t size = *env_.FileSize(Path(200, kShard));
  for (uint64_t offset = 0; offset < size; offset += 7) {
    FlipByte(kShard, offset);
    ExpectFallsBack("rank-1-of-3.safetensors: XXH3 ");
    FlipByte(kShard, offset);
  }
  EXPECT_THAT(store_.FindLastGood()->rejected, IsEmpty());
}

TEST_F(DamagedCheckpointTest, ATruncatedShard) {
  const uint64_t size = *env_.FileSize(Path(200, kShard));
  for (const uint64_t kept : {size - 1, uint64_t{0}}) {
    Truncate(kShard, kept);
    ExpectFallsBack("rank-1-of-3.safetensors: " + std::to_string(kept) +
                    " bytes, the manifest says " + std::to_string(size));
  }
}

TEST_F(DamagedCheckpointTest, AShardThatGrew) {
  env_.Contents(Path(200, kShard)) += "x";
  ExpectFallsBack("rank-1-of-3.safetensors: ");
}

TEST_F(DamagedCheckpointTest, AMissingShard) {
  Remove(kShard);
  ExpectFallsBack("rank-1-of-3.safetensors: ");
}

TEST_F(DamagedCheckpointTest, TwoShardsSwapped) {
  std::swap(env_.Contents(Path(200, kShard)), env_.Contents(Path(200, "rank-0-of-3.safetensors")));
  ExpectFallsBack("rank-0-of-3.safetensors: XXH3 ");
}

TEST_F(DamagedCheckpointTest, AFlippedByteAnywhereInTheManifestOrCommit) {
  for (const std::string file : {"manifest.json", "COMMIT"}) {
    for (uint64_t offset = 0; offset < *env_.FileSize(Path(200, file)); offset += 3) {
      FlipByte(file, offset);
      ExpectFallsBack("one of the two is damaged");
      FlipByte(file, offset);
    }
  }
}

TEST_F(DamagedCheckpointTest, ATruncatedOrMissingManifest) {
  Truncate("manifest.json", Manifest().size() - 1);
  ExpectFallsBack("one of the two is damaged");
  Remove("manifest.json");
  ExpectFallsBack("manifest.json: No such file");
}

TEST_F(DamagedCheckpointTest, ATruncatedOrMissingCommit) {
  Truncate("COMMIT", 0);
  ExpectFallsBack("one of the two is damaged");
  Remove("COMMIT");
  ExpectFallsBack("not committed: no COMMIT in /home/checkpoints/step-00000200.1.0");
  EXPECT_EQ(store_.Load(200, false).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(DamagedCheckpointTest, AManifestOfAnotherStepOrVersion) {
  std::string newer = Manifest();
  const std::string version = "\"format_version\": ";
  newer.replace(newer.find(version), version.size() + 1, version + "2");
  Recommit(env_.Contents(Path(100, "manifest.json")));
  ExpectFallsBack("manifest.json is of step 100");
  Recommit(newer);
  // Whole, and of a newer program: no reason to go back to an older checkpoint.
  const auto found = store_.FindLastGood();
  EXPECT_EQ(found.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(MessageOf(found.status()),
              HasSubstr("step-00000200.1.0: manifest.json: format version 2; this program reads"));
}

TEST_F(DamagedCheckpointTest, NothingLeftIsDataLossWithAllReasons) {
  FlipByte(kShard, 0);
  env_.Contents(Path(100, kShard)).pop_back();
  const auto found = store_.FindLastGood();
  EXPECT_EQ(found.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(MessageOf(found.status()),
              ::testing::ContainsRegex("no checkpoint in /home/checkpoints; step-00000200.1.0: .*; "
                                       "step-00000100.1.0: .*"));
  CheckpointStore nowhere(env_, "/nowhere");
  EXPECT_EQ(nowhere.FindLastGood().status(), NotFound("no checkpoint in /nowhere"));
  EXPECT_THAT(*nowhere.ListCommitted(), IsEmpty());
}

TEST_F(DamagedCheckpointTest, WhatWasCommittedAndIsGoneIsNoFreshStart) {
  ASSERT_TRUE(env_.RemoveTree("/home/checkpoints/step-00000100.1.0").ok());
  Remove("COMMIT");
  const auto found = store_.FindLastGood();
  EXPECT_EQ(found.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(MessageOf(found.status()), HasSubstr("/latest names one that is not there"));
}

TEST_F(CheckpointTest, AFirstAttemptThatWasCutShortIsAFreshStart) {
  ASSERT_TRUE(WriteTestShard(store_, {.step = 100}, 0).ok());
  EXPECT_EQ(store_.FindLastGood().status().code(), absl::StatusCode::kNotFound);
}

// A failing disk, a permission, a folder in a file's place: the checkpoint may be whole.
TEST_F(DamagedCheckpointTest, WhatCannotBeReadStopsByName) {
  for (const std::string name : {"COMMIT", "manifest.json", kShard}) {
    testing::UnreadableEnv unreadable(env_);
    CheckpointStore store(unreadable, "/home/checkpoints");
    unreadable.MakeUnreadable("step-00000200.1.0/" + name);
    const auto found = store.FindLastGood();
    EXPECT_EQ(found.status().code(), absl::StatusCode::kFailedPrecondition) << found.status();
    EXPECT_THAT(MessageOf(found.status()), HasSubstr(name + ": Input/output error"));
    unreadable.MakeReadable();
    EXPECT_EQ(store.FindLastGood()->manifest.step, 200u);
  }
}

TEST(CheckpointOnDisk, AFolderInAFilesPlaceStopsByName) {
  const testing::TempDir dir;
  Env& env = *Env::Posix();
  const std::string root = dir.Path("checkpoints");
  for (const uint64_t step : {100, 200}) {
    ASSERT_TRUE(WriteCheckpoint(env, root, {.step = step, .world_size = 1}).ok());
  }
  for (const std::string name : {"COMMIT", "manifest.json", "rank-0-of-1.safetensors"}) {
    const std::string path = root + "/step-00000200.1.0/" + name;
    ASSERT_TRUE(env.Rename(path, dir.Path("kept")).ok());
    ASSERT_TRUE(env.CreateDirs(path).ok());
    const auto found = CheckpointStore(env, root).FindLastGood();
    EXPECT_EQ(found.status().code(), absl::StatusCode::kFailedPrecondition) << found.status();
    EXPECT_THAT(MessageOf(found.status()), HasSubstr(path + ": is a folder"));
    ASSERT_TRUE(env.RemoveTree(path).ok());
    ASSERT_TRUE(env.Rename(dir.Path("kept"), path).ok());
  }
}

TEST_F(DamagedCheckpointTest, WithoutVerifyingShardsOnlyTheManifestCounts) {
  FlipByte(kShard, 0);
  EXPECT_TRUE(store_.Load(200, false).ok());
  EXPECT_EQ(store_.Load(200, true).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(DamagedCheckpointTest, IsReplacedWhenTheStepIsReachedAgain) {
  FlipByte(kShard, 0);
  ASSERT_TRUE(Write({.step = 200, .world_size = 2}).ok());
  const auto found = store_.FindLastGood();
  ASSERT_TRUE(found.ok()) << found.status();
  ExpectHolds(store_, found->manifest, {.step = 200, .world_size = 2});
}

// --- commit ---

TEST_F(CheckpointTest, CommitRefusesShardsThatAreNotAsTheManifestSays) {
  TestWrite write{.step = 100, .world_size = 2};
  CheckpointManifest manifest = TestManifest(write);
  ASSERT_TRUE(store_.Fence({1, 0}).ok());
  for (uint32_t rank : {0, 1}) manifest.shards.push_back(*WriteTestShard(store_, write, rank));
  const std::string path = Path(100, "rank-1-of-2.safetensors");
  env_.Contents(path) += "x";
  EXPECT_THAT(MessageOf(store_.Commit(manifest, 1)), HasSubstr("rank-1-of-2.safetensors"));
  ASSERT_TRUE(env_.RemoveFile(path).ok());
  EXPECT_EQ(store_.Commit(manifest, 1).code(), absl::StatusCode::kDataLoss);
  manifest.shards.pop_back();
  EXPECT_EQ(store_.Commit(manifest, 1).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(*store_.ListCommitted(), IsEmpty());
  EXPECT_FALSE(env_.Exists("/home/checkpoints/latest"));
}

TEST_F(CheckpointTest, AStepBeingRewrittenIsNoCheckpoint) {
  ASSERT_TRUE(Write({.step = 100}).ok());
  ASSERT_TRUE(store_.Fence({1, 0}).ok());
  ASSERT_TRUE(WriteTestShard(store_, {.step = 100, .attempt = 1}, 0).ok());
  EXPECT_THAT(*store_.ListCommitted(), IsEmpty());
}

TEST_F(CheckpointTest, PruningKeepsTheLastOnesAndClearsAttemptsThatWereCutShort) {
  ASSERT_TRUE(store_.Fence({1, 0}).ok());
  ASSERT_TRUE(WriteTestShard(store_, {.step = 50}, 0).ok());
  for (const uint64_t step : {100, 200, 300, 400}) ASSERT_TRUE(Write({.step = step}).ok());
  ASSERT_TRUE(env_.RemoveFile(Path(300, "COMMIT")).ok());
  ASSERT_TRUE(env_.CreateDirs("/home/checkpoints/step-7").ok());  // not a name that Halcyon makes
  ASSERT_TRUE(Write({.step = 500, .keep = 3}).ok());
  EXPECT_THAT(*store_.ListCommitted(), ElementsAre(200, 400, 500));
  EXPECT_THAT(*env_.ListDir(kRoot),
              ElementsAre("fence.1.0", "latest", "step-00000200.1.0", "step-00000400.1.0",
                          "step-00000500.1.0", "step-7"));
  ASSERT_TRUE(Write({.step = 600, .keep = 0}).ok());
  EXPECT_THAT(*store_.ListCommitted(), ElementsAre(600));
}

TEST_F(CheckpointTest, PruningNeitherCountsNorTouchesLaterStepsThatARunFellBackFrom) {
  for (const uint64_t step : {100, 200, 300}) ASSERT_TRUE(Write({.step = step}).ok());
  env_.Contents(Path(300, kShard)).pop_back();
  ASSERT_TRUE(Write({.step = 250, .keep = 1}).ok());
  EXPECT_THAT(*store_.ListCommitted(), ElementsAre(250, 300));
  EXPECT_EQ(store_.FindLastGood()->manifest.step, 250u);
}

}  // namespace
}  // namespace halcyon::storage
