// submit, wait, cancel, resume, list, status and logs of jobs in queues, with Slurm's commands
// replaced by small scripts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/job_status.h"
#include "coordinator/run_job.h"
#include "coordinator/submit/local_queue.h"
#include "coordinator/submit/submission.h"
#include "tests/coordinator/fake_slurm.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::coordinator {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class SubmitCommandTest : public ::testing::Test {
 protected:
  SubmitCommandTest() : slurm_(dir_.Path("slurm")), home_{dir_.Path("home")} {
    EXPECT_TRUE(env_.CreateDirs(home_.root).ok());
    Write("home/cluster.toml", "[environment]\nmodules = [\"site/1\"]\n[slurm]\ncommands = \"" +
                                   slurm_.folder() + "\"\npartition = \"site\"\n");
    Write("text.txt", "some text\n");
    Write("job.toml",
          "name = \"x\"\n[data]\nsources = [\"text.txt\"]\n[launch.slurm]\ntime = \"30\"\n");
    job_ = JobIdOf("x", dir_.Path("job.toml")).value();
  }
  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomically(env_, dir_.Path(name), text).ok());
  }
  int Run(std::vector<std::string> words) {
    words.insert(words.begin(), {"halcyon", "--home", home_.root});
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int code = RunCommandLine(static_cast<int>(argv.size()), argv.data());
    out_ = ::testing::internal::GetCapturedStdout();
    err_ = ::testing::internal::GetCapturedStderr();
    return code;
  }
  int Submit(const std::string& launcher, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"submit", dir_.Path("job.toml"), "--launcher", launcher});
    return Run(more);
  }
  // squeue shows Slurm job 1 so.
  void ShowJob(const std::string& state, const std::string& reason = "None") {
    slurm_.SetQueue(nlohmann::json{{"jobs",
                                    {{{"job_id", 1},
                                      {"job_state", state},
                                      {"state_reason", reason},
                                      {"nodes", state == "RUNNING" ? "n1" : ""}}}}}
                        .dump());
  }
  nlohmann::json Status() {
    EXPECT_EQ(Run({"status", job_, "--json"}), 0) << err_;
    return nlohmann::json::parse(out_);
  }

  Env& env_ = *Env::Posix();
  testing::TempDir dir_;
  FakeSlurm slurm_;
  storage::HomeLayout home_;
  std::string job_, out_, err_;
};

TEST_F(SubmitCommandTest, ADryRunPrintsTheScriptAndDoesNothing) {
  ASSERT_EQ(Submit("slurm", {"--dry-run", "--set", "launch.slurm.partition=mine"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("#SBATCH --partition=\"mine\"\n"));
  EXPECT_THAT(out_, HasSubstr("#SBATCH --time=\"30\"\n"));
  EXPECT_THAT(out_, HasSubstr("module load site/1 ||"));
  EXPECT_THAT(out_, HasSubstr(" --set 'launch.slurm.partition=mine'\n"));
  EXPECT_EQ(slurm_.Calls(), "");
  EXPECT_FALSE(env_.Exists(home_.Job(job_)));
  EXPECT_EQ(Submit("local", {"--dry-run"}), 2);
}

TEST_F(SubmitCommandTest, SlurmGetsTheScriptAndTheJobIsFollowed) {
  ASSERT_EQ(Submit("slurm", {"--json"}), 0) << err_;
  const auto printed = nlohmann::json::parse(out_);
  EXPECT_EQ(printed["job"], job_);
  EXPECT_EQ(printed["slurm_job_id"], "1");
  const std::string script = JoinPath(home_.Job(job_), "slurm.sh");
  EXPECT_EQ(slurm_.Calls(), "sbatch --parsable " + script + "\n");
  EXPECT_THAT(env_.ReadFile(script).value_or(""), HasSubstr("#SBATCH --partition=\"site\""));

  ShowJob("PENDING", "Priority");
  EXPECT_EQ(Status()["state"], "queued");
  EXPECT_EQ(Status()["submission"]["slurm_state"], "PENDING");
  EXPECT_EQ(Status()["submission"]["slurm_reason"], "Priority");
  ASSERT_EQ(Run({"list"}), 0);
  EXPECT_THAT(out_, HasSubstr("is Slurm job 1: PENDING (Priority)"));
  EXPECT_EQ(Run({"wait", job_, "--timeout", "1"}), 4);
  EXPECT_THAT(err_, HasSubstr("has not ended within 1 s: it is queued"));

  EXPECT_EQ(Submit("slurm"), 3);
  EXPECT_THAT(err_, HasSubstr("is Slurm job 1: PENDING (Priority)"));
  EXPECT_EQ(Run({"run", dir_.Path("job.toml")}), 3);
  EXPECT_THAT(err_, HasSubstr("it will run there"));
}

TEST_F(SubmitCommandTest, WithoutAnAnswerOfSlurmThatIsSaid) {
  ASSERT_EQ(Submit("slurm"), 0) << err_;
  slurm_.Refuse("squeue", "Unable to contact slurm controller");
  ASSERT_EQ(Run({"list"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("was Slurm job 1; Slurm does not answer"));
  EXPECT_THAT(out_, HasSubstr("Unable to contact slurm controller"));
  EXPECT_EQ(Run({"wait", job_, "--timeout", "1"}), 4) << "it may be waiting there";
  EXPECT_EQ(Run({"cancel", job_}), 4);
  EXPECT_THAT(err_, HasSubstr("try again"));
}

TEST_F(SubmitCommandTest, WhatSlurmRefusesIsNotSubmitted) {
  slurm_.Refuse("sbatch", "sbatch: error: invalid partition specified: site");
  EXPECT_EQ(Submit("slurm"), 2);
  EXPECT_THAT(err_, HasSubstr("invalid partition specified"));
  EXPECT_FALSE(env_.Exists(home_.Job(job_))) << "nothing is left of it";
}

TEST_F(SubmitCommandTest, AWaitingJobIsCancelledAndResumed) {
  ASSERT_EQ(Submit("slurm", {"--set", "train.steps=60", "--until", "latents"}), 0) << err_;
  ShowJob("PENDING");
  ASSERT_EQ(Run({"cancel", job_}), 0) << err_;
  EXPECT_THAT(slurm_.Calls(), HasSubstr("scancel 1\n"));
  ShowJob("CANCELLED");
  EXPECT_EQ(Status()["state"], "cancelled");
  EXPECT_EQ(Run({"wait", job_}), 6);
  EXPECT_EQ(Run({"cancel", job_}), 2);
  EXPECT_THAT(err_, HasSubstr("there is nothing to cancel"));
  ASSERT_EQ(Run({"resume", job_, "--json"}), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["slurm_job_id"], "2");
  EXPECT_EQ(ReadSubmission(env_, home_, job_)->set, std::vector<std::string>{"train.steps=60"});
  EXPECT_EQ(ReadSubmission(env_, home_, job_)->until, "latents");
}

TEST_F(SubmitCommandTest, AJobThatIsMadeUntilItsStageHasEndedAndIsResumedToItsEnd) {
  EXPECT_EQ(Submit("local", {"--until", ""}), 2);  // a script's variable without a value
  EXPECT_THAT(err_, HasSubstr("--until: names no stage; leave it out to make all"));
  EXPECT_EQ(Submit("local", {"--until", "token"}), 2);
  EXPECT_THAT(err_,
              HasSubstr("--until: the job has no stage \"token\"; its stages are tokenizer, "));
  ASSERT_EQ(Submit("local", {"--until", "tokens", "--set", "launch.device=cuda"}), 0) << err_;
  EXPECT_EQ(LocalQueue(env_, home_).Waiting().front().needs.gpus, 0) << "tokens need none";
  JobStatus status = *ReadJobStatus(env_, home_, job_);
  status.state = jobs::JobState::kPartial;
  status.until = "tokens";
  ++status.updated_ms;
  ASSERT_TRUE(WriteJobStatus(env_, home_, status).ok());
  EXPECT_EQ(Run({"wait", "--timeout", "1", job_}), 0) << err_ << "; its entry may still be there";
  ASSERT_TRUE(LocalQueue(env_, home_).Withdraw(job_));
  ASSERT_EQ(Run({"status", job_}), 0);
  EXPECT_THAT(out_, HasSubstr("it is made until tokens; "));
  ASSERT_EQ(Run({"resume", job_}), 0) << err_;
  EXPECT_EQ(ReadSubmission(env_, home_, job_)->until, "");
  ASSERT_EQ(Run({"cancel", job_}), 0) << err_;
  EXPECT_EQ(Status()["state"], "partial") << "what was made stays made";
}

TEST_F(SubmitCommandTest, AJobThatLeftSlurmsQueueUnbegunIsNotQueued) {
  ASSERT_EQ(Submit("slurm"), 0) << err_;
  ShowJob("CANCELLED");
  EXPECT_EQ(Status()["state"], "cancelled");
  EXPECT_EQ(Run({"wait", job_}), 6);
  EXPECT_THAT(err_, HasSubstr("Slurm job 1 was cancelled before it began"));
  ASSERT_EQ(Run({"why", job_, "--json"}), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["state"], "cancelled");

  ShowJob("NODE_FAIL");
  EXPECT_EQ(Status()["state"], "failed");
  EXPECT_EQ(Run({"wait", job_}), 3);
  EXPECT_THAT(err_, HasSubstr("Slurm job 1 ended as NODE_FAIL before the coordinator began"));
  slurm_.SetQueue(R"({"jobs": []})");
  EXPECT_EQ(Run({"wait", job_}), 3);
  EXPECT_THAT(err_, HasSubstr("Slurm job 1 has left Slurm's queue"));
}

TEST_F(SubmitCommandTest, WhyNamesWhatSlurmWaitsFor) {
  ASSERT_EQ(Submit("slurm"), 0) << err_;
  const std::map<std::string, std::string> advice = {
      {"Priority", "squeue --start -j 1"},
      {"JobHeldUser", "scontrol release 1"},
      {"QOSMaxJobsPerUserLimit", "change [launch.slurm]"}};
  for (const auto& [reason, words] : advice) {
    ShowJob("PENDING", reason);
    ASSERT_EQ(Run({"why", job_}), 0) << err_;
    EXPECT_THAT(out_, HasSubstr("it is Slurm job 1: PENDING (" + reason + ")"));
    EXPECT_THAT(out_, HasSubstr(words));
  }
}

TEST_F(SubmitCommandTest, TheTimeInAQueueIsNoTimeOfTheJob) {
  ASSERT_EQ(Submit("local"), 0) << err_;
  JobStatus status = *ReadJobStatus(env_, home_, job_);
  status.started_ms -= 3'600'000;
  ASSERT_TRUE(WriteJobStatus(env_, home_, status).ok());
  ASSERT_EQ(Run({"cancel", job_}), 0) << err_;
  EXPECT_EQ(ReadJobStatus(env_, home_, job_)->TotalMs(), 0);
}

TEST_F(SubmitCommandTest, AJobThatSlurmRunsIsAskedToEnd) {
  ASSERT_EQ(Submit("slurm"), 0) << err_;
  ShowJob("RUNNING");
  ASSERT_EQ(Run({"cancel", job_}), 0) << err_;
  EXPECT_THAT(slurm_.Calls(), Not(HasSubstr("scancel")));
  const auto request = env_.ReadFile(JoinPath(home_.Job(job_), "requests/cancel"));
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(nlohmann::json::parse(*request)["submission"], ReadSubmission(env_, home_, job_)->id);
  // Slurm killed it before it could save.
  ShowJob("CANCELLED");
  JobStatus status = *ReadJobStatus(env_, home_, job_);
  status.state = jobs::JobState::kPreempted;
  ASSERT_TRUE(WriteJobStatus(env_, home_, status).ok());
  EXPECT_EQ(Run({"wait", job_}), 6);
  ShowJob("RUNNING");
  ASSERT_EQ(Run({"cancel", job_, "--stop"}), 0) << err_;
  EXPECT_TRUE(env_.Exists(JoinPath(home_.Job(job_), "requests/stop")));
}

TEST_F(SubmitCommandTest, TheLocalQueueTakesJobsAndGivesThemBack) {
  ASSERT_EQ(Submit("local", {"--json"}), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_), (nlohmann::json{{"job", job_}, {"launcher", "local"}}));
  EXPECT_EQ(Status()["state"], "queued");
  ASSERT_EQ(Run({"status", job_}), 0);
  EXPECT_THAT(out_, HasSubstr("waits in the queue of this home, 0 before it"));
  EXPECT_EQ(Submit("local"), 3);
  ASSERT_EQ(Run({"cancel", job_}), 0) << err_;
  EXPECT_TRUE(LocalQueue(env_, home_).Waiting().empty());
  EXPECT_EQ(Status()["state"], "cancelled");
  ASSERT_EQ(Run({"resume", job_}), 0) << err_;
  EXPECT_EQ(LocalQueue(env_, home_).Waiting().size(), 1u);
  EXPECT_EQ(Status()["state"], "queued");
}

TEST_F(SubmitCommandTest, ABadJobIsRefusedBeforeAnythingIsMade) {
  Write("job.toml", "name = \"x\"\n[data]\nsources = [\"missing.txt\"]\n");
  for (const char* launcher : {"slurm", "local"}) {
    EXPECT_EQ(Submit(launcher), 2);
    EXPECT_THAT(err_, HasSubstr("missing.txt"));
  }
  EXPECT_EQ(Run({"run", "-d", dir_.Path("job.toml")}), 2);
  EXPECT_EQ(slurm_.Calls(), "");
  EXPECT_FALSE(env_.Exists(home_.Job(job_)));
}

TEST_F(SubmitCommandTest, LogsOfOneRankAreThoseOfEveryStage) {
  ASSERT_EQ(Submit("local"), 0) << err_;
  const std::string logs = home_.JobLogs(job_);
  for (const char* name : {"model-rank-1", "autoencoder-rank-1", "model-rank-11", "agent-1"}) {
    ASSERT_TRUE(WriteFileAtomically(env_, JoinPath(logs, std::string(name) + ".log"),
                                    "of " + std::string(name) + "\n")
                    .ok());
  }
  ASSERT_EQ(Run({"logs", job_, "--rank", "1"}), 0) << err_;
  EXPECT_EQ(out_, "autoencoder-rank-1: of autoencoder-rank-1\nmodel-rank-1: of model-rank-1\n");
  ASSERT_EQ(Run({"logs", job_, "--rank", "1", "--json", "--lines", "1"}), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_),
            nlohmann::json::parse(R"({"time": null, "level": null, "process": "model-rank-1",
                                      "message": "of model-rank-1"})"));
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 1);
  EXPECT_EQ(Run({"logs", job_, "--rank", "7"}), 2);
  EXPECT_THAT(err_, HasSubstr("has no log of rank 7; there are agent-1, "));
}

}  // namespace
}  // namespace halcyon::coordinator
