#include "coordinator/submit/local_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "cluster/command.h"
#include "coordinator/job_status.h"
#include "coordinator/submit/queue_daemon.h"
#include "tests/coordinator/whole_graph.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LocalQueueTest : public ::testing::Test {
 protected:
  LocalQueueTest() : home_(*storage::OpenHome(dir_.Path("home"))), queue_(env_, home_) {}
  ~LocalQueueTest() override {
    for (const pid_t pid : started_) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
  }

  // A job that was submitted as the `at`-th.
  void Submit(const std::string& job, int64_t at, const JobNeeds& needs = {}) {
    ASSERT_TRUE(env_.CreateDirs(home_.JobLogs(job)).ok());
    ASSERT_TRUE(WriteSubmission(env_, home_,
                                {.id = "s-" + job,
                                 .launcher = Launcher::kLocal,
                                 .job_id = job,
                                 .name = job,
                                 .spec_path = "/" + job + ".toml",
                                 .set = {},
                                 .submitted_ms = at,
                                 .host = "h"})
                    .ok());
    SetState(job, jobs::JobState::kQueued);
    ASSERT_TRUE(queue_.Add(job, needs, at).ok());
  }
  void SetState(const std::string& job, jobs::JobState state) {
    JobStatus status = NewJobStatus(job, job, WholeGraph());
    status.state = state;
    ASSERT_TRUE(WriteJobStatus(env_, home_, status).ok());
  }
  jobs::JobState StateOf(const std::string& job) { return ReadJobStatus(env_, home_, job)->state; }

  // A daemon whose jobs are `sleep`.
  QueueDaemon Daemon(int64_t slots, std::vector<int64_t> gpus = {}) {
    const StartJob start = [this](const Submission& submission,
                                  const TakenJob& job) -> absl::StatusOr<cluster::ProcessIdentity> {
      if (!start_error_.ok()) return start_error_;
      names_.push_back(submission.job_id);
      gpus_.push_back(job.gpus);
      const auto pid = cluster::StartDetached(
          {.argv = {"sleep", "1000"}, .env = {}, .output_path = "/dev/null", .working_dir = "/"});
      if (!pid.ok()) return pid.status();
      started_.push_back(*pid);
      return *cluster::IdentityOfProcess(*pid);
    };
    return QueueDaemon(&env_, home_, {"host", slots, std::move(gpus)}, start,
                       [this](const std::string& line) { notices_ += line + "\n"; });
  }
  // The process of the `index`-th start ends.
  void EndProcess(size_t index) {
    kill(started_.at(index), SIGKILL);
    EXPECT_TRUE(Clock::Real()->WaitFor(
        [&] { return !cluster::IdentityOfProcess(started_.at(index)).has_value(); }, 10'000));
  }

  Env& env_ = *Env::Posix();
  testing::TempDir dir_;
  storage::HomeLayout home_;
  LocalQueue queue_;
  absl::Status start_error_;
  std::vector<std::string> names_;
  std::vector<std::vector<int64_t>> gpus_;
  std::vector<pid_t> started_;
  std::string notices_;
};

TEST_F(LocalQueueTest, KeepsTheOrderOfSubmission) {
  Submit("b", 2);
  Submit("c", 10);
  Submit("a", 1);
  const std::vector<WaitingJob> waiting = queue_.Waiting();
  ASSERT_EQ(waiting.size(), 3u);
  EXPECT_EQ(waiting[0].job_id + waiting[1].job_id + waiting[2].job_id, "abc");
  EXPECT_EQ(*queue_.Find("c"), "waits in the queue of this home, 2 before it");
  EXPECT_FALSE(queue_.Find("d").has_value());
}

TEST_F(LocalQueueTest, OneOfTwoTakersWins) {
  Submit("a", 1);
  const WaitingJob job = queue_.Waiting().front();
  LocalQueue other(env_, home_);
  EXPECT_TRUE(*queue_.Take(job, "host-1"));
  EXPECT_FALSE(*other.Take(job, "host-2"));
  EXPECT_FALSE(queue_.Withdraw("a"));
  EXPECT_EQ(*queue_.Find("a"), "is being started on host-1");
}

TEST_F(LocalQueueTest, WhatIsWithdrawnIsNotStarted) {
  Submit("a", 1);
  EXPECT_TRUE(queue_.Withdraw("a"));
  EXPECT_FALSE(queue_.Withdraw("a"));
  QueueDaemon daemon = Daemon(4);
  ASSERT_TRUE(daemon.Turn().ok());
  EXPECT_THAT(names_, IsEmpty());
  EXPECT_TRUE(daemon.idle());
}

TEST_F(LocalQueueTest, JobsStartInOrderWhenThereIsRoom) {
  Submit("a", 1, {.slots = 2});
  Submit("b", 2, {.slots = 3});
  Submit("c", 3, {.slots = 1});
  QueueDaemon daemon = Daemon(4);
  ASSERT_TRUE(daemon.Turn().ok());
  EXPECT_THAT(names_, ElementsAre("a")) << "c does not overtake b";
  EXPECT_FALSE(daemon.idle());
  SetState("a", jobs::JobState::kDone);
  EndProcess(0);
  ASSERT_TRUE(daemon.Turn().ok());
  EXPECT_THAT(names_, ElementsAre("a", "b", "c"));
  EXPECT_THAT(notices_, HasSubstr("job a: done"));
}

TEST_F(LocalQueueTest, AJobLargerThanTheMachineRunsAlone) {
  Submit("a", 1, {.slots = 1});
  Submit("b", 2, {.slots = 99});
  QueueDaemon daemon = Daemon(4);
  ASSERT_TRUE(daemon.Turn().ok());
  EXPECT_THAT(names_, ElementsAre("a"));
  SetState("a", jobs::JobState::kFailed);
  EndProcess(0);
  ASSERT_TRUE(daemon.Turn().ok());
  EXPECT_THAT(names_, ElementsAre("a", "b"));
}

TEST_F(LocalQueueTest, JobsGetGpusOfTheirOwn) {
  Submit("a", 1, {.slots = 1, .gpus = 2});
  Submit("b", 2, {.slots = 1, .gpus = 1});
  Submit("c", 3, {.slots = 1, .gpus = 8, .may_do_without_gpus = true});
  Submit("d", 4, {.slots = 1, .gpus = 1});
  QueueDaemon daemon = Daemon(8, {0, 1, 3});
  ASSERT_TRUE(daemon.Turn().ok());
  EXPECT_THAT(names_, ElementsAre("a", "b", "c"));
  EXPECT_THAT(gpus_, ElementsAre(ElementsAre(0, 1), ElementsAre(3), IsEmpty()));
}

TEST_F(LocalQueueTest, ANewDaemonFindsTheRunningJobsAndLeavesThemAlone) {
  Submit("a", 1, {.slots = 3});
  {
    QueueDaemon daemon = Daemon(4);
    ASSERT_TRUE(daemon.Turn().ok());
  }
  SetState("a", jobs::JobState::kRunning);
  Submit("b", 2, {.slots = 2});
  QueueDaemon next = Daemon(4);
  ASSERT_TRUE(next.Turn().ok());
  EXPECT_THAT(names_, ElementsAre("a")) << "a's slots are taken, and a is not started twice";
  EXPECT_EQ(*queue_.Find("a"), "was started on host as process " + std::to_string(started_[0]));
  SetState("a", jobs::JobState::kDone);
  EndProcess(0);
  ASSERT_TRUE(next.Turn().ok());
  EXPECT_THAT(names_, ElementsAre("a", "b"));
}

TEST_F(LocalQueueTest, AKilledCoordinatorIsStartedAgainSomeTimes) {
  Submit("a", 1);
  QueueDaemon daemon = Daemon(4);
  ASSERT_TRUE(daemon.Turn().ok());
  SetState("a", jobs::JobState::kRunning);
  for (size_t start = 0; start < 5; ++start) {
    if (start < started_.size()) EndProcess(start);
    ASSERT_TRUE(daemon.Turn().ok());
  }
  EXPECT_EQ(names_.size(), 1 + static_cast<size_t>(kQueueRestartsMax));
  EXPECT_THAT(notices_, ::testing::HasSubstr(
                            "job a: its coordinator was killed 4 times, and is not started again"));
  EXPECT_THAT(queue_.TakenBy("host"), IsEmpty());
}

TEST_F(LocalQueueTest, AJobThatCannotBeginFailsWithItsLastWords) {
  Submit("a", 1);
  Submit("b", 2);
  QueueDaemon daemon = Daemon(4);
  ASSERT_TRUE(daemon.Turn().ok());
  const std::string log = JoinPath(home_.JobLogs("a"), "run.log");
  ASSERT_TRUE(WriteFileAtomically(env_, log, "warning: x\nerror: /a.toml: no such file\n").ok());
  EndProcess(0);
  EndProcess(1);
  ASSERT_TRUE(daemon.Turn().ok());
  EXPECT_EQ(StateOf("a"), jobs::JobState::kFailed);
  EXPECT_EQ(ReadJobStatus(env_, home_, "a")->error, "/a.toml: no such file");
  EXPECT_EQ(ReadJobStatus(env_, home_, "b")->error, "its process ended before the job began");
  Submit("c", 3);
  start_error_ = Internal("no more processes");
  ASSERT_TRUE(daemon.Turn().ok());
  EXPECT_EQ(ReadJobStatus(env_, home_, "c")->error, "no more processes");
}

TEST(JobNeeds, AreRanksTimesThreadsAndAGpuARank) {
  jobs::LaunchSpec launch;
  launch.ranks = 3;
  launch.threads = 2;
  EXPECT_EQ(NeedsOf(launch), (JobNeeds{6, 3, true}));
  launch.device = jobs::DeviceChoice::kCuda;
  EXPECT_EQ(NeedsOf(launch), (JobNeeds{6, 3, false}));
  launch.device = jobs::DeviceChoice::kCpu;
  EXPECT_EQ(NeedsOf(launch), (JobNeeds{6, 0, false}));
}

}  // namespace
}  // namespace halcyon::coordinator
