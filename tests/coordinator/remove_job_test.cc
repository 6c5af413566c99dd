#include "coordinator/housekeeping/remove_job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "coordinator/artifact_store.h"
#include "coordinator/housekeeping/disk_usage.h"
#include "coordinator/recovery.h"
#include "tests/coordinator/whole_graph.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::coordinator {
namespace {

using jobs::StageKind;
using ::testing::HasSubstr;

class RemoveJobTest : public ::testing::Test {
 protected:
  RemoveJobTest() : home_(*storage::OpenHome(dir_.Path("home"))) {
    journal_ = *storage::Journal::Open(home_.Journal());
  }
  // Puts an artifact in place as a run does; returns its fingerprint.
  std::string Install(StageKind kind, const std::string& job_id, const std::string& contents) {
    const std::string made = dir_.Path("made");
    EXPECT_TRUE(env_.CreateDirs(made).ok());
    EXPECT_TRUE(WriteFileAtomically(env_, JoinPath(made, "made.txt"), contents).ok());
    Artifact artifact;
    artifact.record.kind = kind;
    artifact.record.fields = {{"setting", contents}};
    artifact.record.fingerprint = jobs::StageIdentity{kind, artifact.record.fields}.Fingerprint();
    artifact.record.content_digest = "digest of " + contents;
    artifact.record.job_id = job_id;
    EXPECT_TRUE(ArtifactStore(env_, *journal_, home_).Install(artifact, made).ok());
    return artifact.record.fingerprint;
  }
  void AddJob(const std::string& id, const std::map<StageKind, std::string>& stages) {
    storage::JobRecord record;
    record.job_id = id;
    JobStatus status = NewJobStatus(id, id, WholeGraph());
    for (const auto& [kind, fingerprint] : stages) {
      record.stages.push_back({kind, jobs::StageState::kDone, fingerprint, ""});
      status.Stage(kind).fingerprint = fingerprint;
    }
    ASSERT_TRUE(journal_->PutJob(record).ok());
    ASSERT_TRUE(env_.CreateDirs(home_.Job(id)).ok());
    ASSERT_TRUE(WriteJobStatus(env_, home_, status).ok());
  }
  // A work folder with `bytes` bytes in it.
  std::string AddWork(StageKind kind, const std::string& setting, const std::string& job_id,
                      size_t bytes) {
    WorkRecord record;
    record.identity = {kind, {{"setting", setting}}};
    record.job_id = job_id;
    const std::string path =
        home_.Work(std::string(jobs::StageName(kind)), record.identity.Fingerprint());
    EXPECT_TRUE(env_.CreateDirs(path).ok());
    EXPECT_TRUE(WriteWorkRecord(env_, path, record).ok());
    EXPECT_TRUE(WriteFileAtomically(env_, JoinPath(path, "big"), std::string(bytes, 'x')).ok());
    return path;
  }
  std::string PathOf(StageKind kind, const std::string& fingerprint) {
    return home_.Artifact(std::string(jobs::StageName(kind)), fingerprint);
  }

  testing::TempDir dir_;
  Env& env_ = *Env::Posix();
  storage::HomeLayout home_;
  std::unique_ptr<storage::Journal> journal_;
};

TEST_F(RemoveJobTest, TakesWhatIsItsOwnAndLeavesTheRest) {
  const std::string tokens = Install(StageKind::kTokenizer, "a", "shared");
  const std::string model = Install(StageKind::kModel, "a", "own model");
  AddJob("a", {{StageKind::kTokenizer, tokens}, {StageKind::kModel, model}});
  AddJob("b", {{StageKind::kTokenizer, tokens}});
  const std::string unfinished = AddWork(StageKind::kModel, "other rate", "a", 1000);
  const std::string others = AddWork(StageKind::kModel, "of b", "b", 10);

  const auto plan = PlanRemoval(env_, home_, *journal_, "a");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_TRUE(env_.Exists(PathOf(StageKind::kModel, model))) << "planning removes nothing";
  ASSERT_EQ(plan->kept.size(), 1u);
  EXPECT_EQ(plan->kept[0].path, PathOf(StageKind::kTokenizer, tokens));
  EXPECT_EQ(plan->kept[0].needed_by, "job b");
  uint64_t bytes = 0;
  for (const RemovedPath& part : plan->removed) bytes += part.bytes;
  EXPECT_EQ(plan->bytes_freed, bytes);
  EXPECT_GT(bytes, 1000u);

  ASSERT_TRUE(Remove(env_, *journal_, *plan).ok());
  EXPECT_FALSE(env_.Exists(home_.Job("a")));
  EXPECT_FALSE(env_.Exists(PathOf(StageKind::kModel, model)));
  EXPECT_FALSE(env_.Exists(unfinished));
  EXPECT_TRUE(env_.Exists(others));
  EXPECT_TRUE(env_.Exists(home_.Job("b")));
  EXPECT_TRUE(env_.Exists(JoinPath(PathOf(StageKind::kTokenizer, tokens), "artifact.json")));
  EXPECT_TRUE(absl::IsNotFound(journal_->GetJob("a").status()));
  EXPECT_TRUE(absl::IsNotFound(journal_->FindArtifact(StageKind::kModel, model).status()));
  EXPECT_TRUE(journal_->FindArtifact(StageKind::kTokenizer, tokens).ok());
  EXPECT_TRUE(ArtifactStore(env_, *journal_, home_).Repair()->empty()) << "nothing to repair";
}

TEST_F(RemoveJobTest, ItsJobsFileSaysWhatTheJournalHasForgotten) {
  const std::string model = Install(StageKind::kModel, "b", "model");
  AddJob("a", {{StageKind::kModel, model}});
  AddJob("b", {{StageKind::kModel, model}});
  ASSERT_TRUE(journal_->RemoveJob("b").ok());
  const auto plan = PlanRemoval(env_, home_, *journal_, "a");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->removed.size(), 1u) << "its folder alone";
}

TEST_F(RemoveJobTest, AnUnreadableStatusOfAJobWithoutARecordStopsIt) {
  AddJob("a", {});
  AddJob("b", {});
  ASSERT_TRUE(WriteFileAtomically(env_, StatusPath(home_, "b"), "{").ok());
  EXPECT_TRUE(PlanRemoval(env_, home_, *journal_, "a").ok()) << "the journal knows b";
  ASSERT_TRUE(journal_->RemoveJob("b").ok());
  const absl::Status status = PlanRemoval(env_, home_, *journal_, "a").status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(MessageOf(status), HasSubstr("it cannot be known what job b uses"));
}

TEST_F(RemoveJobTest, AnArtifactThatCannotBeReadStays) {
  const std::string model = Install(StageKind::kModel, "a", "model");
  AddJob("a", {{StageKind::kModel, model}});
  ASSERT_TRUE(journal_->RemoveArtifact(StageKind::kModel, model).ok());
  const std::string file = JoinPath(PathOf(StageKind::kModel, model), "artifact.json");
  ASSERT_TRUE(WriteFileAtomically(env_, file, "{\"version\": 99}").ok());
  const auto plan = PlanRemoval(env_, home_, *journal_, "a");
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->kept.size(), 1u);
  EXPECT_THAT(plan->kept[0].needed_by, HasSubstr("cannot be read"));
  ASSERT_TRUE(Remove(env_, *journal_, *plan).ok());
  EXPECT_TRUE(env_.Exists(file));
}

TEST_F(RemoveJobTest, WhatAnInterruptionLeftIsFinishedByTheSameCommand) {
  const std::string model = Install(StageKind::kModel, "a", "model");
  const std::string autoencoder = Install(StageKind::kAutoencoder, "a", "autoencoder");
  AddJob("a", {{StageKind::kModel, model}, {StageKind::kAutoencoder, autoencoder}});
  auto plan = PlanRemoval(env_, home_, *journal_, "a");
  ASSERT_TRUE(plan.ok()) << plan.status();
  plan->removed.resize(1);  // killed after the first
  for (const RemovedPath& part : plan->removed) {
    ASSERT_TRUE(env_.Rename(part.path, part.path + ".tmp").ok());
  }
  plan = PlanRemoval(env_, home_, *journal_, "a");
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_TRUE(Remove(env_, *journal_, *plan).ok());
  for (const auto kind : {StageKind::kModel, StageKind::kAutoencoder}) {
    EXPECT_TRUE(env_.ListDir(home_.ArtifactsOf(std::string(jobs::StageName(kind))))->empty());
  }
  EXPECT_FALSE(env_.Exists(home_.Job("a")));
}

TEST_F(RemoveJobTest, ARunningJobOrHomeIsRefused) {
  AddJob("a", {});
  journal_.reset();
  SimulatedClock clock;
  {
    const auto owner = TryOwnHome(home_, "a", clock);
    ASSERT_TRUE(owner.ok() && *owner != nullptr);
    absl::Status status = TakeExclusiveHome(home_, "a", clock).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(MessageOf(status), HasSubstr("job a is running (pid "));
    status = TakeExclusiveHome(home_, "b", clock).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(MessageOf(status), HasSubstr("may use what would be removed"));
  }
  auto quiet = TakeExclusiveHome(home_, "a", clock);
  ASSERT_TRUE(quiet.ok()) << quiet.status();
  // A worker that outlives its coordinator by some seconds.
  const auto alive =
      storage::FileLock::TryAcquire(home_.AliveFile("a"), storage::FileLock::Mode::kShared);
  ASSERT_TRUE(alive.ok() && *alive != nullptr);
  const absl::Status status = PlanRemoval(env_, home_, *quiet->journal, "a").status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(MessageOf(status), HasSubstr("still ending"));
}

TEST_F(RemoveJobTest, AJobIsFoundByItsIdOrByANameThatOnlyItHas) {
  AddJob("quick-11111111", {});
  AddJob("slow-22222222", {});
  AddJob("slow-33333333", {});
  EXPECT_EQ(*ResolveJob(env_, home_, *journal_, "quick-11111111"), "quick-11111111");
  EXPECT_EQ(*ResolveJob(env_, home_, *journal_, "quick"), "quick-11111111");
  EXPECT_TRUE(absl::IsNotFound(ResolveJob(env_, home_, *journal_, "other").status()));
  const absl::Status several = ResolveJob(env_, home_, *journal_, "slow").status();
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
