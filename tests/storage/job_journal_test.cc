#include "storage/job_journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/storage/damage.h"
#include "tests/testing/faulty_env.h"
#include "tests/testing/mutate.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::storage {
namespace {

using ::testing::HasSubstr;

JobRecord TestJob(const std::string& id) {
  JobRecord job;
  job.job_id = id;
  job.name = "caf\u00e9 \"x\"";
  job.spec_path = "/tmp/job.toml";
  job.state = jobs::JobState::kPreempted;
  job.created_ms = 10;
  job.updated_ms = 11;
  job.error = "no space";
  job.stages = {{jobs::StageKind::kTokens, jobs::StageState::kReused, "f1", "reused"},
                {jobs::StageKind::kModel, jobs::StageState::kWaiting, "", ""}};
  return job;
}

const LocatedProcess kAgent{"node1", "boot", "pid:[4]", {12, 99}};

class JobJournalTest : public ::testing::Test {
 protected:
  std::unique_ptr<JobJournal> Begin(uint64_t incarnation) {
    notes_.clear();
    auto journal = JobJournal::Begin(env_, Dir(), incarnation, &notes_);
    EXPECT_TRUE(journal.ok()) << journal.status();
    return *std::move(journal);
  }
  std::string Dir() { return dir_.Path("journal"); }

  Env& env_ = *Env::Posix();
  testing::TempDir dir_;
  std::vector<std::string> notes_;
};

TEST_F(JobJournalTest, TheNextIncarnationKnowsEverything) {
  EXPECT_TRUE(absl::IsNotFound(ReadJobHistory(env_, Dir()).status()));
  {
    const auto journal = Begin(1);
    EXPECT_EQ(journal->history().job.job_id, "");
    ASSERT_TRUE(journal->PutJob(TestJob("other")).ok());
    ASSERT_TRUE(journal->PutJob(TestJob("a")).ok());
    ASSERT_TRUE(journal->PutProcess("agent-0", kAgent).ok());
    ASSERT_TRUE(journal->PutGang("model", {{"launch", 3}}).ok());
    ASSERT_TRUE(journal->PutAgent("agent-0", {{"incarnation", 4}}).ok());
  }
  for (const uint64_t incarnation : {2, 7}) {
    const JobHistory read = *ReadJobHistory(env_, Dir());
    const auto journal = Begin(incarnation);
    for (const JobHistory& history : {read, journal->history()}) {
      EXPECT_EQ(ToJson(history.job), ToJson(TestJob("a")));
      ASSERT_TRUE(history.processes.contains("agent-0"));
      EXPECT_EQ(ToJson(history.processes.at("agent-0")), ToJson(kAgent));
      EXPECT_EQ(history.gangs.at("model"), nlohmann::json({{"launch", 3}}));
      EXPECT_EQ(history.agents.at("agent-0"), nlohmann::json({{"incarnation", 4}}));
    }
  }
  ASSERT_TRUE(Begin(8)->ForgetProcesses().ok());
  const JobHistory last = *ReadJobHistory(env_, Dir());
  EXPECT_TRUE(last.processes.empty() && last.gangs.empty() && last.agents.empty());
  EXPECT_EQ(last.job.job_id, "a");
}

TEST_F(JobJournalTest, ASnapshotOfAnEarlierVersionNamesNoAgents) {
  const std::string text = RecordLine({{"type", "snapshot"},
                                       {"format", 1},
                                       {"job", ToJson(TestJob("a"))},
                                       {"processes", nlohmann::json::object()},
                                       {"gangs", {{"model", {{"launch", 3}}}}}});
  const auto history = ParseJournal(text);
  ASSERT_TRUE(history.ok()) << history.status();
  EXPECT_TRUE(history->gangs.contains("model"));
  EXPECT_TRUE(history->agents.empty());
}

TEST_F(JobJournalTest, ATornLastRecordIsDropped) {
  {
    const auto journal = Begin(1);
    ASSERT_TRUE(journal->PutJob(TestJob("a")).ok());
    ASSERT_TRUE(journal->PutJob(TestJob("b")).ok());
  }
  const std::string path = Dir() + "/00000001";
  const std::string whole = *env_.ReadFile(path);
  const size_t last = whole.rfind('\n', whole.size() - 2) + 1;
  for (size_t size = last; size + 1 < whole.size(); ++size) {
    const auto history = ParseJournal(whole.substr(0, size));
    ASSERT_TRUE(history.ok()) << history.status();
    EXPECT_EQ(history->job.job_id, "a");
  }
  Overwrite(path, whole.substr(0, whole.size() - 5));
  EXPECT_EQ(Begin(2)->history().job.job_id, "a");
  EXPECT_TRUE(notes_.empty());
}

TEST_F(JobJournalTest, DamageInTheMiddleIsNotTakenForTheEnd) {
  {
    const auto journal = Begin(1);
    ASSERT_TRUE(journal->PutJob(TestJob("a")).ok());
    ASSERT_TRUE(journal->PutProcess("agent-0", kAgent).ok());
    ASSERT_TRUE(journal->PutJob(TestJob("b")).ok());
  }
  const std::string path = Dir() + "/00000001";
  std::string text = *env_.ReadFile(path);
  const size_t second = text.find("\"agent-0\"");
  text[second + 1] = 'A';
  Overwrite(path, text);
  const absl::Status read = ReadJobHistory(env_, Dir()).status();
  EXPECT_TRUE(absl::IsDataLoss(read));
  EXPECT_THAT(MessageOf(read), HasSubstr(path + ": line 3 is damaged"));
  const auto journal = Begin(2);
  EXPECT_EQ(journal->history().job.job_id, "a") << "what could be read";
  ASSERT_EQ(notes_.size(), 1u);
  EXPECT_THAT(notes_[0], HasSubstr(path + ".damaged"));
  EXPECT_TRUE(env_.Exists(path + ".damaged"));
  EXPECT_EQ(ReadJobHistory(env_, Dir())->job.job_id, "a");
}

TEST_F(JobJournalTest, AfterAWriteThatFailedTheNextOneIsWhole) {
  testing::FaultyEnv faulty(&env_);
  std::vector<std::string> notes;
  const auto journal = *JobJournal::Begin(faulty, Dir(), 1, &notes);
  ASSERT_TRUE(journal->PutJob(TestJob("a")).ok());
  faulty.FailWritesAfter(20);
  EXPECT_TRUE(absl::IsResourceExhausted(journal->PutJob(TestJob("b"))));
  faulty.StopFailing();
  ASSERT_TRUE(journal->PutJob(TestJob("c")).ok());
  EXPECT_EQ(ReadJobHistory(env_, Dir())->job.job_id, "c");
}

TEST_F(JobJournalTest, ANewerFormatIsRefusedByName) {
  ASSERT_TRUE(env_.CreateDirs(Dir()).ok());
  Overwrite(Dir() + "/00000001", RecordLine({{"type", "snapshot"}, {"format", 2}}));
  const absl::Status status = JobJournal::Begin(env_, Dir(), 2, &notes_).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(MessageOf(status), HasSubstr("newer Halcyon"));
}

TEST_F(JobJournalTest, FewFilesOfEarlierIncarnationsStay) {
  for (uint64_t incarnation = 1; incarnation <= 9; ++incarnation) Begin(incarnation);
  EXPECT_EQ(FilesEnding(Dir(), "").size(), 4u);
}

TEST(JobRecords, KeepTextThatIsNoUtf8Readable) {
  JobRecord job = TestJob("a");
  job.error = "cannot read /tmp/\xff";
  const auto history = ParseJournal(RecordLine({{"type", "job"}, {"job", ToJson(job)}}));
  ASSERT_TRUE(history.ok()) << history.status();
  EXPECT_THAT(history->job.error, HasSubstr("cannot read /tmp/"));
}

// A mutant is refused, or what is read of it was written.
TEST(JobRecords, MutantsAreRefusedOrRoundTrip) {
  const std::string line = ToJson(TestJob("a")).dump();
  for (uint64_t mutant = 0; mutant < 10000; ++mutant) {
    const auto json = nlohmann::json::parse(testing::Mutate(line, mutant), nullptr, false);
    const auto job = JobRecordFromJson(json);
    if (!job.ok()) {
      EXPECT_TRUE(absl::IsDataLoss(job.status()));
      continue;
    }
    EXPECT_EQ(ToJson(*JobRecordFromJson(ToJson(*job))), ToJson(*job));
  }
  const std::string journal = RecordLine({{"type", "job"}, {"job", ToJson(TestJob("a"))}}) +
                              RecordLine({{"type", "job"}, {"job", ToJson(TestJob("b"))}});
  for (uint64_t mutant = 0; mutant < 10000; ++mutant) {
    const auto history = ParseJournal(testing::Mutate(journal, mutant));
    if (history.ok()) {
      const std::string& id = history->job.job_id;
      EXPECT_TRUE(id == "a" || id == "b" || id.empty()) << id;
    } else {
      EXPECT_TRUE(absl::IsDataLoss(history.status()));
    }
  }
}

}  // namespace
}  // namespace halcyon::storage
