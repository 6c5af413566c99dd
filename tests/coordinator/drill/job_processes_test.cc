#include "coordinator/drill/job_processes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "cluster/process.h"
#include "coordinator/drill/agent_leases.h"
#include "storage/job_journal.h"

namespace halcyon::coordinator {
namespace {

using ::testing::ElementsAre;

class JobProcessesTest : public testing::Test {
 protected:
  JobProcessesTest() : home_{testing::TempDir() + "halcyon-processes-" + std::to_string(getpid())} {
    EXPECT_TRUE(env_.CreateDirs(home_.Journal("j-1")).ok());
    auto child =
        cluster::ChildProcess::Spawn({.argv = {"sleep", "1000"}, .env = {}, .output_path = {}});
    EXPECT_TRUE(child.ok()) << child.status();
    child_ = *std::move(child);
    process_ = {"model-rank-1", HostName(), *IdentityOfProcess(child_->pid())};
  }
  ~JobProcessesTest() override { EXPECT_TRUE(env_.RemoveTree(home_.root).ok()); }

  // The words are run here, in place of another host.
  absl::Status Signal(int signal) {
    return SignalJobProcess(process_, signal,
                            [this](const std::string& host, const std::vector<std::string>& words) {
                              asked_host_ = host;
                              return words;
                            });
  }
  bool HasEnded() {
    return Clock::Real()->WaitFor([this] { return child_->Poll().has_value(); }, 10'000);
  }

  Env& env_ = *Env::Posix();
  const storage::HomeLayout home_;
  std::unique_ptr<cluster::ChildProcess> child_;
  JobProcess process_;
  std::string asked_host_;
};

TEST_F(JobProcessesTest, AProcessOfThisMachineIsSignalledHere) {
  process_.is_here = true;
  ASSERT_TRUE(Signal(SIGKILL).ok());
  EXPECT_EQ(asked_host_, "");
  ASSERT_TRUE(HasEnded());
  EXPECT_EQ(child_->Poll()->signal, SIGKILL);
  EXPECT_TRUE(absl::IsNotFound(Signal(SIGKILL)));
}

TEST_F(JobProcessesTest, OneOfAnotherMachineIsSignalledThere) {
  process_.host = "n2";
  const absl::Status stopped = Signal(SIGSTOP);
  ASSERT_TRUE(stopped.ok()) << stopped;
  EXPECT_EQ(asked_host_, "n2");
  EXPECT_TRUE(Clock::Real()->WaitFor([this] { return IsStopped(process_.process); }, 10'000));
  ASSERT_TRUE(Signal(SIGKILL).ok());
  ASSERT_TRUE(HasEnded());
  EXPECT_TRUE(absl::IsNotFound(Signal(SIGKILL)));
}

TEST_F(JobProcessesTest, AnotherProcessWithTheSamePidIsLeftAlone) {
  ++process_.process.start_time;
  EXPECT_TRUE(absl::IsNotFound(Signal(SIGKILL))) << "elsewhere";
  process_.is_here = true;
  EXPECT_TRUE(absl::IsNotFound(Signal(SIGKILL))) << "here";
  EXPECT_FALSE(child_->Poll());
}

TEST_F(JobProcessesTest, AHostThatCannotBeReachedIsSaid) {
  const absl::Status status =
      SignalJobProcess(process_, SIGKILL, [](const std::string&, const std::vector<std::string>&) {
        return std::vector<std::string>{"sh", "-c", "echo no route >&2; exit 255"};
      });
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("no route"));
}

TEST_F(JobProcessesTest, TheJournalIsAskedFirstAndThenTheStatus) {
  std::vector<std::string> notes;
  const auto journal = storage::JobJournal::Begin(env_, home_.Journal("j-1"), 1, &notes);
  ASSERT_TRUE(journal.ok()) << journal.status();
  ASSERT_TRUE(
      (*journal)->PutProcess("model-rank-0", LocatedProcess::OfThisMachine(process_.process)).ok());
  JobStatus job;
  job.job_id = "j-1";
  job.workers = {{.worker = "model-rank-0", .rank = 0, .host = "n1", .pid = 3, .start_time = 4},
                 {.worker = "model-rank-1", .rank = 1, .host = "n2", .pid = 5, .start_time = 6},
                 {.worker = "model-rank-2", .rank = 2, .host = "n2"}};
  const auto here = FindJobProcess(env_, home_, job, "model-rank-0");
  ASSERT_TRUE(here);
  EXPECT_TRUE(here->is_here);
  EXPECT_EQ(here->process, process_.process);
  const auto there = FindJobProcess(env_, home_, job, "model-rank-1");
  ASSERT_TRUE(there);
  EXPECT_FALSE(there->is_here);
  EXPECT_EQ(there->ToString(), "model-rank-1 (pid 5 on n2)");
  EXPECT_EQ(there->process, (ProcessIdentity{5, 6}));
  EXPECT_FALSE(FindJobProcess(env_, home_, job, "model-rank-2")) << "its pid is not known yet";
  EXPECT_FALSE(FindJobProcess(env_, home_, job, "agent-0"));
}

TEST(AgentLeasesTest, AreThoseOfOneStageInTheOrderOfTheLog) {
  const std::vector<LogLine> lines = LogLinesOf(
      "coordinator",
      "2026-01-31T12:00:00.000Z info coordinator job=j stage=tokens: lease tokens/1 to agent-0, "
      "fence 1\n"
      "2026-01-31T12:00:01.000Z info coordinator job=j stage=latents: lease latents/3 to agent-1, "
      "fence 2\n"
      "2026-01-31T12:00:02.000Z warning coordinator job=j: (latents/4) agent-11 ended with exit "
      "code 2\n"
      "2026-01-31T12:00:02.500Z warning coordinator job=j: (latents/3) agent-1 ended with exit "
      "code 1\n"
      "2026-01-31T12:00:03.000Z info coordinator job=j stage=latents: lease latents/3 to agent-0, "
      "fence 3\n");
  EXPECT_THAT(LeasesIn(lines, "latents"),
              ElementsAre(AgentLease{"latents/3", "agent-1"}, AgentLease{"latents/3", "agent-0"}));
  EXPECT_EQ(WarningAbout(lines, "agent-1"), "(latents/3) agent-1 ended with exit code 1");
  EXPECT_EQ(WarningAbout(lines, "agent-0"), "");
  EXPECT_TRUE(IsWorkGivenOutAgain(lines, "latents", "agent-1"));
  EXPECT_FALSE(IsWorkGivenOutAgain(lines, "latents", "agent-11")) << "latents/4 is not";
  EXPECT_FALSE(IsWorkGivenOutAgain(lines, "latents", "agent-0")) << "it was not lost";
  EXPECT_TRUE(IsWorkGivenOutAgain(
      LogLinesOf("coordinator",
                 "2026-01-31T12:00:00.000Z warning coordinator job=j: (no task) agent-2 ended\n"),
      "latents", "agent-2"));
}

}  // namespace
}  // namespace halcyon::coordinator
