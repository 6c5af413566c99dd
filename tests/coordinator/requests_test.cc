#include "coordinator/requests.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "coordinator/submit/requeue.h"
#include "coordinator/submit/submission.h"
#include "tests/coordinator/fake_slurm.h"
#include "tests/coordinator/whole_graph.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::coordinator {
namespace {

class RequestsTest : public ::testing::Test {
 protected:
  RequestsTest() : home_(*storage::OpenHome(dir_.Path("home"))) {}
  void Ask(Request request, const std::string& submission = "s", bool now = false) {
    ASSERT_TRUE(WriteRequest(env_, home_, "j", request, submission, now).ok());
  }
  Requests Read() { return ReadRequests(env_, home_, "j"); }

  Env& env_ = *Env::Posix();
  testing::TempDir dir_;
  storage::HomeLayout home_;
};

TEST_F(RequestsTest, SayWhatIsAskedFor) {
  EXPECT_EQ(Read().stops, 0);
  Ask(Request::kStop);
  EXPECT_EQ(Read().stops, 1);
  EXPECT_FALSE(Read().cancel);
  Ask(Request::kCancel);
  EXPECT_EQ(Read().stops, 1);
  EXPECT_TRUE(Read().cancel);
  Ask(Request::kCancel, "s", /*now=*/true);
  EXPECT_EQ(Read().stops, 2);
}

TEST_F(RequestsTest, AFileThatAPersonMadeCounts) {
  ASSERT_TRUE(env_.CreateDirs(JoinPath(home_.Job("j"), "requests")).ok());
  ASSERT_TRUE(WriteFileAtomically(env_, JoinPath(home_.Job("j"), "requests/stop"), "").ok());
  EXPECT_EQ(Read().stops, 1);
}

TEST_F(RequestsTest, ThoseForAnotherSubmissionAreRemoved) {
  ASSERT_TRUE(RemoveOldRequests(env_, home_, "j", "s").ok()) << "there is no folder yet";
  Ask(Request::kStop, "earlier");
  Ask(Request::kCancel, "s");
  ASSERT_TRUE(RemoveOldRequests(env_, home_, "j", "s").ok());
  EXPECT_TRUE(Read().cancel) << "it was made while Slurm was starting the job";
  ASSERT_TRUE(RemoveOldRequests(env_, home_, "j", "").ok());
  EXPECT_EQ(Read().stops, 0);
}

TEST_F(RequestsTest, AreNoticedByAWatcher) {
  const RequestWatcher watcher(&env_, home_, "j");
  EXPECT_EQ(watcher.stops(), 0);
  Ask(Request::kCancel);
  EXPECT_TRUE(Clock::Real()->WaitFor([&] { return watcher.cancelled(); }, 30'000));
  EXPECT_TRUE(Clock::Real()->WaitFor([&] { return watcher.stops() == 1; }, 30'000));
}

// --- the next allocation ---

class RequeueTest : public RequestsTest {
 protected:
  RequeueTest() : slurm_(dir_.Path("slurm")) {
    EXPECT_TRUE(WriteFileAtomically(env_, JoinPath(home_.root, "cluster.toml"),
                                    "[slurm]\ncommands = \"" + slurm_.folder() + "\"\n")
                    .ok());
    EXPECT_TRUE(env_.CreateDirs(home_.JobLogs("j")).ok());
    EXPECT_TRUE(WriteSubmission(env_, home_,
                                {.id = "s",
                                 .launcher = Launcher::kSlurm,
                                 .job_id = "j",
                                 .name = "j",
                                 .spec_path = "/j.toml",
                                 .set = {"train.steps=3"},
                                 .submitted_ms = 5,
                                 .host = "h",
                                 .slurm_job_id = "41"})
                    .ok());
  }
  void SetProgress(double fraction) {
    JobStatus status = NewJobStatus("j", "j", WholeGraph());
    status.stages[0].fraction = 1;
    status.stages[1].fraction = fraction;
    ASSERT_TRUE(WriteJobStatus(env_, home_, status).ok());
  }

  FakeSlurm slurm_;
};

TEST_F(RequeueTest, TheSlurmJobIsRequeued) {
  SetProgress(0.5);
  const auto done = Requeue(env_, home_, "j", "41", 0);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(slurm_.Calls(), "scontrol requeue 41\n");
  EXPECT_EQ(ReadSubmission(env_, home_, "j")->requeues, 1);
}

TEST_F(RequeueTest, WhereSlurmRefusesItTheScriptIsSubmittedToFollow) {
  slurm_.Refuse("scontrol", "Requested operation is presently disabled");
  SetProgress(0.5);
  const auto done = Requeue(env_, home_, "j", "41", 0);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(slurm_.Calls(), "scontrol requeue 41\nsbatch --parsable --dependency=afterany:41 " +
                                JoinPath(home_.Job("j"), "slurm.sh") + "\n");
  EXPECT_EQ(ReadSubmission(env_, home_, "j")->slurm_job_id, "1");
  EXPECT_EQ(ReadSubmission(env_, home_, "j")->set, std::vector<std::string>{"train.steps=3"});
}

TEST_F(RequeueTest, ACancelledSlurmJobStaysCancelled) {
  SetProgress(0.5);
  slurm_.SetQueue(R"({"jobs": [{"job_id": 41, "job_state": "COMPLETING", "restart_cnt": 0,
                      "state_reason": "None"}]})");
  const auto done = Requeue(env_, home_, "j", "41", 0);
  EXPECT_EQ(done.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(slurm_.Calls(), "");
  EXPECT_EQ(ReadJobStatus(env_, home_, "j")->state, jobs::JobState::kCancelled);
}

TEST_F(RequeueTest, WhatSlurmRequeuesByItselfIsLeftToIt) {
  slurm_.SetQueue(R"({"jobs": [{"job_id": 41, "job_state": "COMPLETING", "restart_cnt": 3}]})");
  ASSERT_TRUE(Requeue(env_, home_, "j", "41", 2).ok());
  EXPECT_EQ(slurm_.Calls(), "");
  EXPECT_EQ(ReadSubmission(env_, home_, "j")->requeues, 1);
}

// As seen on Slurm 22.05 in the trap of a script that is being ended, and in the documented form of
// later versions.
TEST(NextAllocation, IsReadFromWhatSqueueShowsAtTheEnd) {
  const auto next = [](const std::string& state, const std::string& reason, int64_t shown) {
    SlurmJob job;
    job.state = state;
    job.reason = reason;
    job.restarts = shown;
    return NextOf(job, /*restarts=*/1);
  };
  EXPECT_EQ(next("RUNNING", "None", 1), NextAllocation::kRequeue);
  EXPECT_EQ(next("COMPLETING", "TimeLimit", 1), NextAllocation::kRequeue);
  EXPECT_EQ(next("TIMEOUT", "TimeLimit", 1), NextAllocation::kRequeue);
  EXPECT_EQ(next("PREEMPTED", "None", 1), NextAllocation::kRequeue);
  EXPECT_EQ(next("COMPLETING", "None", 1), NextAllocation::kCancelled);
  EXPECT_EQ(next("CANCELLED", "None", 1), NextAllocation::kCancelled);
  EXPECT_EQ(next("COMPLETING", "None", 2), NextAllocation::kSlurmDoes);
  EXPECT_EQ(next("PENDING", "BeginTime", 2), NextAllocation::kSlurmDoes);
}

TEST_F(RequeueTest, WithoutAnAnswerOfSlurmTheScriptMayAskAgain) {
  slurm_.Refuse("squeue", "Unable to contact slurm controller");
  EXPECT_TRUE(absl::IsUnavailable(Requeue(env_, home_, "j", "41", 0).status()));
  EXPECT_EQ(ReadSubmission(env_, home_, "j")->requeues, 0);
}

TEST_F(RequeueTest, AJobThatDoesNotComeFurtherIsGivenUp) {
  SetProgress(0.5);
  for (int64_t i = 0; i <= kRequeuesWithoutProgressMax; ++i) {
    ASSERT_TRUE(Requeue(env_, home_, "j", "41", 0).ok()) << i;
  }
  const auto done = Requeue(env_, home_, "j", "41", 0);
  EXPECT_EQ(done.status().code(), absl::StatusCode::kFailedPrecondition);
  SetProgress(0.6);
  EXPECT_TRUE(Requeue(env_, home_, "j", "41", 0).ok());
  EXPECT_EQ(ReadSubmission(env_, home_, "j")->requeues_without_progress, 0);
}

TEST_F(RequeueTest, OutsideOfAnAllocationThereIsNothingToRequeue) {
  EXPECT_TRUE(absl::IsInvalidArgument(Requeue(env_, home_, "j", "", 0).status()));
}

}  // namespace
}  // namespace halcyon::coordinator
