#include "coordinator/job_status.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/coordinator/whole_graph.h"

namespace halcyon::coordinator {
namespace {

class JobStatusTest : public testing::Test {
 protected:
  JobStatusTest() : home_{testing::TempDir() + "halcyon-status-" + std::to_string(getpid())} {}
  ~JobStatusTest() override { EXPECT_TRUE(Env::Posix()->RemoveTree(home_.root).ok()); }

  void Write(const JobStatus& status) {
    ASSERT_TRUE(Env::Posix()->CreateDirs(home_.Job(status.job_id)).ok());
    ASSERT_TRUE(WriteJobStatus(*Env::Posix(), home_, status).ok());
  }
  static JobStatus Some(const std::string& id, int64_t updated_ms) {
    JobStatus status = NewJobStatus(id, "name", WholeGraph());
    status.updated_ms = updated_ms;
    return status;
  }

  storage::HomeLayout home_;
};

TEST_F(JobStatusTest, WhatIsWrittenIsReadBack) {
  JobStatus status = Some("j-1", 7);
  status.state = jobs::JobState::kFailed;
  status.error = "rank 1 said \"no\"";
  status.pid = 42;
  status.earlier_ms = 11;
  status.exit_code = 3;
  status.until = "model";
  StageStatus& model = status.Stage(jobs::StageKind::kModel);
  model.state = jobs::StageState::kInterrupted;
  model.fraction = 0.25;
  model.step = 5;
  model.steps = 20;
  model.figures = {{"loss", 1.5}};
  model.start_fraction = 0.1;
  status.workers = {{.worker = "model-rank-1",
                     .rank = 1,
                     .host = "n2",
                     .pid = 4711,
                     .start_time = 123'456'789'012,
                     .step = 5,
                     .phase = "forward block.1",
                     .waits_for = "rank 0",
                     .since_ms = 6,
                     .verdict = "waiting"}};
  Write(status);
  const auto read = ReadJobStatus(*Env::Posix(), home_, "j-1");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->error, status.error);
  EXPECT_EQ(read->state, status.state);
  EXPECT_EQ(read->pid, 42);
  EXPECT_EQ(read->earlier_ms, 11);
  EXPECT_EQ(read->exit_code, 3);
  EXPECT_EQ(read->until, "model");
  EXPECT_EQ(read->stages, status.stages);
  EXPECT_EQ(read->workers, status.workers);
  EXPECT_EQ(read->Find(jobs::StageKind::kModel)->inputs,
            (std::vector<std::string>{"tokens", "latents"}));
}

TEST_F(JobStatusTest, AStageOfAJobThatDoesNotRunIsInterrupted) {
  JobStatus status = Some("j-1", 7);
  status.state = jobs::JobState::kRunning;
  status.Stage(jobs::StageKind::kTokens).state = jobs::StageState::kDone;
  status.Stage(jobs::StageKind::kModel).state = jobs::StageState::kRunning;
  JobStatus killed = status;
  MarkInterrupted(&killed);
  EXPECT_EQ(killed.state, jobs::JobState::kInterrupted);
  EXPECT_EQ(killed.exit_code, 4);
  EXPECT_EQ(killed.Find(jobs::StageKind::kModel)->state, jobs::StageState::kInterrupted);
  EXPECT_EQ(killed.Find(jobs::StageKind::kTokens)->state, jobs::StageState::kDone);
  EXPECT_EQ(killed.Find(jobs::StageKind::kEval)->state, jobs::StageState::kWaiting);
  // As an earlier version left it.
  status.state = jobs::JobState::kPreempted;
  Write(status);
  EXPECT_EQ(ReadJobStatus(*Env::Posix(), home_, "j-1")->Find(jobs::StageKind::kModel)->state,
            jobs::StageState::kInterrupted);
}

TEST_F(JobStatusTest, FiguresThatAreNoUtf8AreStillWritten) {
  JobStatus status = Some("j-1", 7);
  status.Stage(jobs::StageKind::kEval).figures = {{"sample", "\xff"}};
  Write(status);
  EXPECT_TRUE(ReadJobStatus(*Env::Posix(), home_, "j-1").ok());
}

TEST_F(JobStatusTest, ListsTheLastChangedFirst) {
  std::vector<std::string> unreadable;
  EXPECT_TRUE(ListJobStatuses(*Env::Posix(), home_, &unreadable)->empty()) << "no folder yet";
  Write(Some("a", 1));
  Write(Some("b", 3));
  Write(Some("c", 2));
  const auto list = ListJobStatuses(*Env::Posix(), home_, &unreadable);
  ASSERT_TRUE(list.ok() && list->size() == 3u);
  EXPECT_EQ((*list)[0].job_id, "b");
  EXPECT_EQ((*list)[1].job_id, "c");
  EXPECT_TRUE(unreadable.empty());
}

TEST_F(JobStatusTest, OneThatIsOddOrNewerDoesNotHideTheOthers) {
  for (const char* id : {"broken", "folder", "good", "newer", "newest"}) Write(Some(id, 1));
  const auto edit = [&](const std::string& id, const auto& change) {
    nlohmann::json json = ToJson(Some(id, 2));
    change(json);
    ASSERT_TRUE(WriteFileAtomically(*Env::Posix(), StatusPath(home_, id), json.dump()).ok());
  };
  edit("newer", [](nlohmann::json& json) {
    json["of_a_later_version"] = {1, 2};
    json["stages"][0]["too"] = "text";
    json["stages"][0].erase("pace");  // as an earlier version wrote it
  });
  edit("newest", [](nlohmann::json& json) { json["stages"][0]["stage"] = "distillation"; });
  edit("broken", [](nlohmann::json& json) { json = "odd"; });
  ASSERT_TRUE(Env::Posix()->RemoveFile(StatusPath(home_, "folder")).ok());
  ASSERT_TRUE(Env::Posix()->CreateDirs(StatusPath(home_, "folder")).ok());
  std::vector<std::string> unreadable;
  const auto list = ListJobStatuses(*Env::Posix(), home_, &unreadable);
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->size(), 2u);
  EXPECT_EQ((*list)[0].job_id, "newer");
  EXPECT_EQ((*list)[1].job_id, "good");
  ASSERT_EQ(unreadable.size(), 3u);
  EXPECT_NE(unreadable[0].find("jobs/broken/status.json"), std::string::npos) << unreadable[0];
  EXPECT_NE(unreadable[2].find("distillation"), std::string::npos) << unreadable[2];
}

TEST_F(JobStatusTest, MissingAndDamagedAreErrors) {
  const auto missing = ReadJobStatus(*Env::Posix(), home_, "nobody");
  EXPECT_TRUE(absl::IsNotFound(missing.status()));
  EXPECT_NE(MessageOf(missing.status()).find("nobody"), std::string::npos);
  Write(Some("a", 1));
  ASSERT_TRUE(WriteFileAtomically(*Env::Posix(), StatusPath(home_, "a"), "{\"job_id\": 3}").ok());
  const auto damaged = ReadJobStatus(*Env::Posix(), home_, "a");
  EXPECT_TRUE(absl::IsDataLoss(damaged.status()));
  EXPECT_NE(MessageOf(damaged.status()).find("status.json"), std::string::npos);
}

TEST_F(JobStatusTest, TheSameCommandFindsTheSameJob) {
  const JobId id = JobIdOf("quickstart", "/a/b.toml");
  EXPECT_EQ(id, JobIdOf("quickstart", "/a/b.toml"));
  EXPECT_NE(id, JobIdOf("quickstart", "/a/c.toml"));
  EXPECT_NE(id, JobIdOf("other", "/a/b.toml"));
  // printf 'quickstart\n/a/b.toml' | sha256sum
  EXPECT_EQ(id.value(), "quickstart-70f240cb");
}

}  // namespace
}  // namespace halcyon::coordinator
