#include "coordinator/housekeeping/remove_job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "coordinator/housekeeping/disk_usage.h"
#include "coordinator/processes/recovery.h"
#include "coordinator/stages/artifact_store.h"
#include "tests/coordinator/stages_in_home.h"

namespace halcyon::coordinator {
namespace {

using jobs::StageKind;
using ::testing::HasSubstr;

using RemoveJobTest = StagesInHomeTest;

TEST_F(RemoveJobTest, TakesWhatIsItsOwnAndLeavesTheRest) {
  const std::string tokens = Install(StageKind::kTokenizer, "a", "shared");
  const std::string model = Install(StageKind::kModel, "a", "own model");
  AddJob("a", {{StageKind::kTokenizer, tokens}, {StageKind::kModel, model}});
  AddJob("b", {{StageKind::kTokenizer, tokens}});
  const std::string unfinished = AddWork(StageKind::kModel, "other rate", "a", 1000);
  const std::string others = AddWork(StageKind::kModel, "of b", "b", 10);

  auto plan = PlanRemoval(env_, home_, "a");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_TRUE(env_.Exists(PathOf(StageKind::kModel, model))) << "planning removes nothing";
  ASSERT_EQ(plan->kept.size(), 1u);
  EXPECT_EQ(plan->kept[0].path, PathOf(StageKind::kTokenizer, tokens));
  EXPECT_EQ(plan->kept[0].needed_by, "job b");
  uint64_t bytes = 0;
  for (const RemovedPath& part : plan->removed) bytes += part.bytes;
  EXPECT_EQ(plan->bytes_freed, bytes);
  EXPECT_GT(bytes, 1000u);

  ASSERT_TRUE(Remove(env_, clock_, home_, &*plan).ok());
  EXPECT_FALSE(env_.Exists(home_.Job("a")));
  EXPECT_FALSE(env_.Exists(PathOf(StageKind::kModel, model)));
  EXPECT_FALSE(env_.Exists(unfinished));
  EXPECT_TRUE(env_.Exists(others));
  EXPECT_TRUE(env_.Exists(home_.Job("b")));
  EXPECT_TRUE(env_.Exists(JoinPath(PathOf(StageKind::kTokenizer, tokens), "artifact.json")));
  EXPECT_TRUE(ArtifactStore(env_, home_).Repair(clock_)->empty()) << "nothing to repair";
}

TEST_F(RemoveJobTest, ItsJobsFileSaysWhatTheJournalHasForgotten) {
  const std::string model = Install(StageKind::kModel, "b", "model");
  AddJob("a", {{StageKind::kModel, model}});
  AddJob("b", {{StageKind::kModel, model}});
  ASSERT_TRUE(env_.RemoveTree(home_.Journal("b")).ok());
  auto plan = PlanRemoval(env_, home_, "a");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->removed.size(), 1u) << "its folder alone";
}

TEST_F(RemoveJobTest, AnUnreadableStatusOfAJobWithoutARecordStopsIt) {
  AddJob("a", {});
  AddJob("b", {});
  ASSERT_TRUE(WriteFileAtomically(env_, StatusPath(home_, "b"), "{").ok());
  EXPECT_TRUE(PlanRemoval(env_, home_, "a").ok()) << "the journal knows b";
  ASSERT_TRUE(env_.RemoveTree(home_.Journal("b")).ok());
  const absl::Status status = PlanRemoval(env_, home_, "a").status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(MessageOf(status), HasSubstr("it cannot be known what job b uses"));
}

TEST_F(RemoveJobTest, AnArtifactThatCannotBeReadStays) {
  const std::string model = Install(StageKind::kModel, "a", "model");
  AddJob("a", {{StageKind::kModel, model}});
  const std::string file = JoinPath(PathOf(StageKind::kModel, model), "artifact.json");
  ASSERT_TRUE(WriteFileAtomically(env_, file, "{\"version\": 99}").ok());
  auto plan = PlanRemoval(env_, home_, "a");
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->kept.size(), 1u);
  EXPECT_THAT(plan->kept[0].needed_by, HasSubstr("cannot be read"));
  ASSERT_TRUE(Remove(env_, clock_, home_, &*plan).ok());
  EXPECT_TRUE(env_.Exists(file));
}

TEST_F(RemoveJobTest, WhatAnInterruptionLeftIsFinishedByTheSameCommand) {
  const std::string model = Install(StageKind::kModel, "a", "model");
  const std::string autoencoder = Install(StageKind::kAutoencoder, "a", "autoencoder");
  AddJob("a", {{StageKind::kModel, model}, {StageKind::kAutoencoder, autoencoder}});
  auto plan = PlanRemoval(env_, home_, "a");
  ASSERT_TRUE(plan.ok()) << plan.status();
  plan->removed.resize(1);  // killed after the first
  for (const RemovedPath& part : plan->removed) {
    ASSERT_TRUE(env_.Rename(part.path, part.path + ".tmp").ok());
  }
  plan = PlanRemoval(env_, home_, "a");
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_TRUE(Remove(env_, clock_, home_, &*plan).ok());
  for (const auto kind : {StageKind::kModel, StageKind::kAutoencoder}) {
    EXPECT_TRUE(env_.ListDir(home_.ArtifactsOf(std::string(jobs::StageName(kind))))->empty());
  }
  EXPECT_FALSE(env_.Exists(home_.Job("a")));
}

TEST_F(RemoveJobTest, ARunningJobIsRefusedAndAnotherIsNot) {
  AddJob("a", {});
  AddJob("b", {});
  {
    const auto owner = OwnJob(env_, home_, "a", clock_, [](const std::string&) {});
    ASSERT_TRUE(owner.ok()) << owner.status();
    const absl::Status status = TakeJob(env_, clock_, home_, "a").status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(MessageOf(status), HasSubstr("job a (pid "));
    EXPECT_TRUE(TakeJob(env_, clock_, home_, "b").ok());
  }
  EXPECT_TRUE(TakeJob(env_, clock_, home_, "a").ok());
  // A worker that outlives its coordinator by some seconds.
  const auto alive =
      storage::FileLock::TryAcquire(home_.AliveFile("a"), storage::FileLock::Mode::kShared);
  ASSERT_TRUE(alive.ok() && *alive != nullptr);
  const absl::Status status = PlanRemoval(env_, home_, "a").status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(MessageOf(status), HasSubstr("`halcyon cancel a` ends them"));
}

TEST_F(RemoveJobTest, WorkThatAnotherJobHasTakenUpStays) {
  AddJob("a", {});
  const std::string work = AddWork(StageKind::kModel, "shared", "a", 1000);
  auto plan = PlanRemoval(env_, home_, "a");
  ASSERT_TRUE(plan.ok()) << plan.status();
  const std::string name = BaseName(work);
  storage::LeaseSeeker seeker(env_, clock_, home_.Claim("model", name.substr(name.find('-') + 1)),
                              storage::ThisProcess("job b"));
  const auto claim = *seeker.TryTake();
  ASSERT_NE(claim, nullptr);
  const uint64_t all_bytes = plan->bytes_freed;
  ASSERT_TRUE(Remove(env_, clock_, home_, &*plan).ok());
  EXPECT_TRUE(env_.Exists(work));
  EXPECT_FALSE(env_.Exists(home_.Job("a")));
  ASSERT_EQ(plan->kept.size(), 1u);
  EXPECT_THAT(plan->kept[0].needed_by, HasSubstr("job b (pid "));
  EXPECT_GE(all_bytes, plan->bytes_freed + 1000u);
}

TEST_F(RemoveJobTest, AJobIsFoundByItsIdOrByANameThatOnlyItHas) {
  AddJob("quick-11111111", {});
  AddJob("slow-22222222", {});
  AddJob("slow-33333333", {});
  EXPECT_EQ(*ResolveJob(env_, home_, "quick-11111111"), "quick-11111111");
  EXPECT_EQ(*ResolveJob(env_, home_, "quick"), "quick-11111111");
  EXPECT_TRUE(absl::IsNotFound(ResolveJob(env_, home_, "other").status()));
  const absl::Status several = ResolveJob(env_, home_, "slow").status();
  EXPECT_TRUE(absl::IsInvalidArgument(several));
  EXPECT_THAT(MessageOf(several), HasSubstr("slow-22222222, slow-33333333"));
}

TEST(DiskUsageTest, AFileOfSeveralNamesCountsOnce) {
  testing::TempDir dir;
  Env& env = *Env::Posix();
  ASSERT_TRUE(env.CreateDirs(dir.Path("one")).ok());
  ASSERT_TRUE(env.CreateDirs(dir.Path("two")).ok());
  ASSERT_TRUE(WriteFileAtomically(env, dir.Path("one/a"), std::string(100, 'x')).ok());
  std::filesystem::create_hard_link(dir.Path("one/a"), dir.Path("two/a"));
  ASSERT_TRUE(WriteFileAtomically(env, dir.Path("two/b"), std::string(7, 'x')).ok());
  std::filesystem::create_symlink(dir.Path("one/a"), dir.Path("two/link"));
  const uint64_t link_bytes = dir.Path("one/a").size();  // a symbolic link holds its target's name
  DiskUsage usage;
  EXPECT_EQ(usage.Add(dir.Path("two")), 107u + link_bytes);
  EXPECT_EQ(usage.BytesFreed(), 7u + link_bytes) << "one/a keeps the bytes";
  EXPECT_EQ(usage.Add(dir.Path("one")), 0u);
  EXPECT_EQ(usage.BytesFreed(), 107u + link_bytes);
  EXPECT_EQ(usage.Add(dir.Path("missing")), 0u);
}

}  // namespace
}  // namespace halcyon::coordinator
