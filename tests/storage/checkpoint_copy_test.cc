// A checkpoint taken over into another stage's folder: whole or not at all, and bound anew.
#include "storage/checkpoint_copy.h"

#include "base/philox.h"
#include "tests/storage/checkpoint_fixture.h"

namespace halcyon::storage {
namespace {

constexpr char kFrom[] = "/home/from";
constexpr char kTo[] = "/home/to";
const std::string kNewFingerprint(64, 'b');
const TestWrite kWrite{.step = 200, .claim = 3};

absl::Status Copy(Env& env, uint64_t claim = 5, uint64_t step = 200) {
  CheckpointStore from(env, kFrom), to(env, kTo);
  RETURN_IF_ERROR(to.Fence({claim, 0}));
  return CopyCheckpoint(env, from, step, to, {kNewFingerprint, "name = \"more\"\n", claim},
                        /*keep=*/2);
}

// The copy's numbers are the original's; its manifest differs in what binds it, and nothing else.
void ExpectIsTheCopy(Env& env) {
  CheckpointStore to(env, kTo);
  const auto found = to.FindLastGood();
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->manifest.fingerprint, kNewFingerprint);
  EXPECT_EQ(found->manifest.spec_toml, "name = \"more\"\n");
  EXPECT_EQ(found->manifest.claim, 5u);
  CheckpointManifest as_before = found->manifest;
  as_before.fingerprint = TestManifest(kWrite).fingerprint;
  as_before.spec_toml = TestManifest(kWrite).spec_toml;
  ExpectHolds(to, as_before, kWrite);
}

TEST(CheckpointCopy, HoldsTheSameNumbersUnderTheNewFingerprint) {
  testing::PowerCutEnv env;
  ASSERT_TRUE(WriteCheckpoint(env, kFrom, kWrite).ok());
  ASSERT_TRUE(Copy(env).ok());
  ExpectIsTheCopy(env);
  const auto original = CheckpointStore(env, kFrom).Load(200, /*verify_shards=*/true);
  ASSERT_TRUE(original.ok()) << original.status();
  EXPECT_EQ(
      *ManifestToJson(*original),
      *[&] {
        CheckpointManifest manifest = TestManifest(kWrite);
        manifest.shards = original->shards;
        return ManifestToJson(manifest);
      }())
      << "the original stays as it was";
}

TEST(CheckpointCopy, WritingTheStepAgainLeavesTheOriginal) {
  testing::PowerCutEnv env;
  ASSERT_TRUE(WriteCheckpoint(env, kFrom, kWrite).ok());
  ASSERT_TRUE(Copy(env).ok());
  ASSERT_TRUE(WriteCheckpoint(env, kTo, {.step = 200, .claim = 5, .attempt = 1}).ok());
  CheckpointStore from(env, kFrom);
  ExpectHolds(from, from.FindLastGood()->manifest, kWrite);
}

TEST(CheckpointCopy, APowerCutLeavesItWholeOrAbsentAndTheNextAttemptSucceeds) {
  bool completed = false;
  uint64_t cut = 0;
  for (; !completed; ++cut) {
    for (uint64_t outcome = 0; outcome < 4; ++outcome) {
      SCOPED_TRACE("power cut after " + std::to_string(cut) + ", outcome " +
                   std::to_string(outcome));
      testing::PowerCutEnv env;
      const TestWrite own{.step = 100};
      ASSERT_TRUE(WriteCheckpoint(env, kFrom, kWrite).ok());
      ASSERT_TRUE(WriteCheckpoint(env, kTo, own).ok());
      env.CutPowerAfter(cut);
      completed = Copy(env).ok();
      const PhiloxStream coin(outcome, NoiseStream::kEvaluation, 0, 0);
      env.Restart([&, index = uint64_t{0}]() mutable {
        return outcome == 1 || (outcome > 1 && coin.Bits(index++) % 2 == 1);
      });
      CheckpointStore to(env, kTo);
      const auto found = to.FindLastGood();
      ASSERT_TRUE(found.ok()) << found.status();
      if (completed || found->manifest.step == 200) {
        ExpectIsTheCopy(env);
      } else {
        ExpectHolds(to, found->manifest, own);
        const absl::Status again = Copy(env);
        ASSERT_TRUE(again.ok()) << again;
        ExpectIsTheCopy(env);
      }
      CheckpointStore from(env, kFrom);
      ExpectHolds(from, from.FindLastGood()->manifest, kWrite);
      if (::testing::Test::HasFailure()) return;
    }
  }
  EXPECT_GT(cut, 20u);
}

TEST(CheckpointCopy, EveryDamagedByteIsNoticedAndNothingIsLeft) {
  for (const std::string file : {"rank-0-of-3.safetensors", "rank-2-of-3.safetensors"}) {
    const std::string path = std::string(kFrom) + "/step-00000200.3.0/" + file;
    testing::PowerCutEnv env;
    ASSERT_TRUE(WriteCheckpoint(env, kFrom, kWrite).ok());
    const size_t size = env.Contents(path).size();
    for (size_t i = 0; i < size; ++i) {
      env.Contents(path)[i] ^= 1;
      const absl::Status status = Copy(env);
      ASSERT_TRUE(absl::IsDataLoss(status)) << i << " " << status;
      EXPECT_NE(MessageOf(status).find(file), std::string::npos) << status;
      ASSERT_FALSE(env.Exists(std::string(kTo) + "/step-00000200.5.0"));
      env.Contents(path)[i] ^= 1;
    }
    env.Contents(path).pop_back();
    EXPECT_TRUE(absl::IsDataLoss(Copy(env)));
  }
}

TEST(CheckpointCopy, AFullDiskIsReportedAndLeavesNothing) {
  testing::PowerCutEnv env;
  ASSERT_TRUE(WriteCheckpoint(env, kFrom, kWrite).ok());
  env.LimitBytes(400);
  EXPECT_TRUE(absl::IsResourceExhausted(Copy(env)));
  EXPECT_FALSE(env.Exists(std::string(kTo) + "/step-00000200.5.0"));
}

TEST(CheckpointCopy, WhatIsNotCommittedThereOrIsHereAlreadyIsRefused) {
  testing::PowerCutEnv env;
  ASSERT_TRUE(WriteCheckpoint(env, kFrom, kWrite).ok());
  EXPECT_TRUE(absl::IsNotFound(Copy(env, 5, 300)));
  ASSERT_TRUE(Copy(env).ok());
  EXPECT_EQ(Copy(env).code(), absl::StatusCode::kFailedPrecondition);
}

TEST(CheckpointCopy, AnOlderIncarnationMayNotCommit) {
  testing::PowerCutEnv env;
  ASSERT_TRUE(WriteCheckpoint(env, kFrom, kWrite).ok());
  CheckpointStore from(env, kFrom), to(env, kTo);
  ASSERT_TRUE(to.Fence({5, 0}).ok());
  ASSERT_TRUE(CheckpointStore(env, kTo).Fence({6, 0}).ok());
  EXPECT_TRUE(
      absl::IsAborted(CopyCheckpoint(env, from, 200, to, {kNewFingerprint, "", 5}, /*keep=*/2)));
  EXPECT_TRUE(to.ListCommitted()->empty());
}

}  // namespace
}  // namespace halcyon::storage
