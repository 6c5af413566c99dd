#include "coordinator/recovery.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "cluster/process.h"
#include "coordinator/job_status.h"
#include "coordinator/process_registry.h"
#include "storage/checkpoint.h"
#include "tests/coordinator/whole_graph.h"

namespace halcyon::coordinator {
namespace {

using storage::FileLock;

class RecoveryTest : public testing::Test {
 protected:
  RecoveryTest() {
    const std::string root = testing::TempDir() + "halcyon-recovery-" + std::to_string(getpid());
    EXPECT_TRUE(env_.RemoveTree(root).ok());
    auto home = storage::OpenHome(root);
    EXPECT_TRUE(home.ok()) << home.status();
    home_ = *home;
    auto journal = storage::Journal::Open(home_.Journal());
    EXPECT_TRUE(journal.ok()) << journal.status();
    journal_ = *std::move(journal);
  }
  ~RecoveryTest() override {
    journal_.reset();
    EXPECT_TRUE(env_.RemoveTree(home_.root).ok());
  }

  // A process that runs until it is killed, on record as the job's.
  std::unique_ptr<cluster::ChildProcess> StartRecorded(const std::string& job) {
    EXPECT_TRUE(env_.CreateDirs(home_.Job(job)).ok());
    auto child = cluster::ChildProcess::Spawn(
        {.argv = {"sleep", "1000"}, .env = {}, .output_path = "/dev/null"});
    EXPECT_TRUE(child.ok()) << child.status();
    ProcessRegistry registry(&env_, ProcessesPath(home_, job));
    EXPECT_TRUE(registry.Add("agent-0", *cluster::IdentityOfProcess((*child)->pid())).ok());
    return *std::move(child);
  }
  absl::Status Take(const std::string& job, uint64_t incarnation) {
    return EndOldIncarnation(env_, clock_, home_, *journal_, job, Incarnation(incarnation));
  }

  Env& env_ = *Env::Posix();
  SimulatedClock clock_;
  storage::HomeLayout home_;
  std::unique_ptr<storage::Journal> journal_;
};

TEST_F(RecoveryTest, AFirstRunEndsNoProcess) {
  ASSERT_TRUE(Take("job", 3).ok());
  EXPECT_EQ(*env_.ReadFile(home_.AliveFile("job")), "3");
}

TEST_F(RecoveryTest, KillsWhatTheOldCoordinatorStarted) {
  const auto child = StartRecorded("job");
  ASSERT_TRUE(Take("job", 2).ok());
  std::optional<cluster::ExitStatus> status;
  ASSERT_TRUE(Clock::Real()->WaitFor([&] { return (status = child->Poll()).has_value(); }, 10000));
  EXPECT_EQ(status->signal, 9);
}

TEST_F(RecoveryTest, AProcessThatTookOverThePidLives) {
  const auto child = StartRecorded("job");
  const std::string path = ProcessesPath(home_, "job");
  const auto identity = cluster::IdentityOfProcess(child->pid());
  ASSERT_TRUE(identity);
  ASSERT_TRUE(WriteFileAtomically(
                  env_, path,
                  "{\"agent-0\": {\"pid\": " + std::to_string(child->pid()) +
                      ", \"start_time\": " + std::to_string(identity->start_time - 1) + "}}")
                  .ok());
  ASSERT_TRUE(Take("job", 2).ok());
  EXPECT_FALSE(child->Poll().has_value());
}

TEST_F(RecoveryTest, ADamagedRecordIsNoHindrance) {
  ASSERT_TRUE(env_.CreateDirs(home_.Job("job")).ok());
  ASSERT_TRUE(WriteFileAtomically(env_, ProcessesPath(home_, "job"), "{\"agent").ok());
  EXPECT_TRUE(Take("job", 2).ok());
}

TEST_F(RecoveryTest, AWorkerThatStaysIsAnErrorThatNamesTheFile) {
  ASSERT_TRUE(Take("job", 1).ok());
  const auto held = FileLock::TryAcquire(home_.AliveFile("job"), FileLock::Mode::kShared);
  ASSERT_TRUE(held.ok() && *held != nullptr);
  const absl::Status status = Take("job", 2);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(status).find(home_.AliveFile("job")), std::string::npos) << status;
  EXPECT_EQ(*env_.ReadFile(home_.AliveFile("job")), "2")
      << "the old worker must read that it is none any more";
}

TEST_F(RecoveryTest, OtherJobsThatRanAreEndedToo) {
  JobStatus status = NewJobStatus("other", "other", WholeGraph());
  status.state = jobs::JobState::kRunning;
  const auto child = StartRecorded("other");
  ASSERT_TRUE(WriteJobStatus(env_, home_, status).ok());
  storage::JobRecord record;
  record.job_id = record.name = "other";
  record.state = jobs::JobState::kRunning;
  ASSERT_TRUE(journal_->PutJob(record).ok());
  ASSERT_TRUE(Take("job", 5).ok());
  EXPECT_TRUE(Clock::Real()->WaitFor([&] { return child->Poll().has_value(); }, 10000));
  EXPECT_EQ(*env_.ReadFile(home_.AliveFile("other")), "5");
  EXPECT_EQ(journal_->GetJob("other")->state, jobs::JobState::kInterrupted);
  EXPECT_EQ(ReadJobStatus(env_, home_, "other")->state, jobs::JobState::kInterrupted);
}

TEST_F(RecoveryTest, TheSecondOwnerWaitsAndSaysForWhom) {
  std::vector<std::string> notes;
  auto first = OwnHome(home_, "first-1", clock_, [](const std::string&) {});
  ASSERT_TRUE(first.ok());
  const auto second = OwnHome(home_, "second-2", clock_, [&](const std::string& line) {
    notes.push_back(line);
    if (notes.size() == 2) first->reset();
  });
  ASSERT_TRUE(second.ok());
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_EQ(notes[0], "waiting for job first-1 (pid " + std::to_string(getpid()) +
                          "), which is using " + home_.root);
  EXPECT_GE(clock_.MonotonicMs(), 10000) << "not more often than every few seconds";
  EXPECT_NE(env_.ReadFile(home_.Lock())->find("second-2"), std::string::npos);
}

TEST_F(RecoveryTest, AShortWaitIsNotReported) {
  auto look = FileLock::TryAcquire(home_.Lock(), FileLock::Mode::kShared);
  ASSERT_TRUE(look.ok() && *look != nullptr);
  class Impatient : public SimulatedClock {
   public:
    explicit Impatient(std::unique_ptr<FileLock>* lock) : lock_(lock) {}
    void SleepMs(int64_t duration_ms) override {
      lock_->reset();
      SimulatedClock::SleepMs(duration_ms);
    }

   private:
    std::unique_ptr<FileLock>* lock_;
  } clock(&*look);
  EXPECT_TRUE(
      OwnHome(home_, "job", clock, [](const std::string& line) { ADD_FAILURE() << line; }).ok());
}

class IncarnationTest : public RecoveryTest {
 protected:
  uint64_t Raise() {
    notices_.clear();
    const auto raised = RaiseIncarnation(env_, home_, *journal_,
                                         [this](const std::string& line) { notices_ = line; });
    EXPECT_TRUE(raised.ok()) << raised.status();
    return raised->value();
  }
  void Reopen() {
    journal_.reset();
    journal_ = *storage::Journal::Open(home_.Journal());
  }
  storage::CheckpointStore Checkpoints() {
    const std::string work = home_.Work("model", "0123456789abcdef0123");
    return {env_, JoinPath(work, "checkpoints")};
  }
  std::string notices_;
};

TEST_F(IncarnationTest, CountsRunsWithoutANotice) {
  EXPECT_EQ(Raise(), 1u);
  ASSERT_TRUE(Take("job", 1).ok());
  ASSERT_TRUE(Checkpoints().Fence({1}).ok());
  EXPECT_EQ(Raise(), 2u);
  EXPECT_EQ(notices_, "");
}

TEST_F(IncarnationTest, ALostJournalGoesOnAboveTheNumbersOnTheDisk) {
  for (uint64_t run = 1; run <= 3; ++run) EXPECT_EQ(Raise(), run);
  ASSERT_TRUE(Take("job", 3).ok());
  ASSERT_TRUE(Checkpoints().Fence({5}).ok());
  journal_.reset();
  ASSERT_TRUE(env_.RemoveTree(home_.Journal()).ok());
  Reopen();
  EXPECT_EQ(Raise(), 6u);
  EXPECT_NE(notices_.find("the journal has lost its latest records"), std::string::npos)
      << notices_;
  EXPECT_TRUE(Checkpoints().Fence({6}).ok()) << "the fence is taken up, not run into";
  EXPECT_EQ(Raise(), 7u);
  EXPECT_EQ(notices_, "") << "once";
}

// RocksDB opens an empty log without an error.
TEST_F(IncarnationTest, ALogThatIsCutToNothingIsNoticed) {
  for (uint64_t run = 1; run <= 3; ++run) EXPECT_EQ(Raise(), run);
  ASSERT_TRUE(Take("job", 3).ok());
  journal_.reset();
  const auto names = env_.ListDir(home_.Journal());
  for (const std::string& name : *names) {
    if (!name.ends_with(".log")) continue;
    ASSERT_EQ(truncate(JoinPath(home_.Journal(), name).c_str(), 0), 0);
  }
  Reopen();
  EXPECT_EQ(Raise(), 4u);
  EXPECT_NE(notices_.find("its last run is number 0"), std::string::npos) << notices_;
}

TEST_F(IncarnationTest, FilesWithoutANumberAreNoReasonToStop) {
  ASSERT_TRUE(Take("job", 3).ok());
  ASSERT_TRUE(WriteFileAtomically(env_, home_.AliveFile("job"), "").ok());
  ASSERT_TRUE(env_.CreateDirs(home_.AliveFile("odd")).ok());
  ASSERT_TRUE(env_.CreateDirs(Checkpoints().root()).ok());
  ASSERT_TRUE(WriteFileAtomically(env_, JoinPath(Checkpoints().root(), "fence"), "x").ok());
  EXPECT_EQ(Raise(), 1u);
}

TEST_F(IncarnationTest, ANumberThatNoRunCanHaveIsNamed) {
  ASSERT_TRUE(env_.CreateDirs(Checkpoints().root()).ok());
  const std::string fence = JoinPath(Checkpoints().root(), "fence");
  ASSERT_TRUE(WriteFileAtomically(env_, fence, "18446744073709551615\n").ok());
  const auto raised = RaiseIncarnation(env_, home_, *journal_, [](const std::string&) {});
  EXPECT_TRUE(absl::IsFailedPrecondition(raised.status())) << raised.status();
  EXPECT_NE(MessageOf(raised.status()).find(fence), std::string::npos) << raised.status();
}

TEST_F(RecoveryTest, WorkersOfAJobThatTheJournalHasLostAreEndedToo) {
  const auto child = StartRecorded("lost");
  ASSERT_TRUE(WriteFileAtomically(env_, home_.AliveFile("lost"), "1").ok());
  // Held as a living worker holds it; the test's own process is not killed for it.
  auto held = FileLock::TryAcquire(home_.AliveFile("lost"), FileLock::Mode::kShared);
  ASSERT_TRUE(held.ok() && *held != nullptr);
  const absl::Status status = Take("job", 2);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_NE(MessageOf(status).find("earlier run of lost"), std::string::npos) << status;
  std::optional<cluster::ExitStatus> ended;
  EXPECT_TRUE(Clock::Real()->WaitFor([&] { return (ended = child->Poll()).has_value(); }, 10000));
  held->reset();
  EXPECT_TRUE(Take("job", 2).ok());
}

}  // namespace
}  // namespace halcyon::coordinator
