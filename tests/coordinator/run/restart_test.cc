// The pure parts of stopping and starting again, and what is told of a child that ended.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/env.h"
#include "coordinator/processes/child_end.h"
#include "coordinator/run/launch_plan.h"
#include "coordinator/run/restart_budget.h"
#include "coordinator/stop_signals.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::coordinator {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(StopCounter, SignalsWithinASecondAreOneRequest) {
  StopCounter counter;
  EXPECT_EQ(counter.requests(), 0);
  EXPECT_EQ(counter.Signal(0), 1);
  EXPECT_EQ(counter.Signal(0), 1);
  EXPECT_EQ(counter.Signal(kSameRequestMs - 1), 1);
  EXPECT_EQ(counter.Signal(kSameRequestMs), 2);
  EXPECT_EQ(counter.Signal(kSameRequestMs + 1), 2);
  EXPECT_EQ(counter.Signal(2 * kSameRequestMs), 3);
  EXPECT_EQ(counter.requests(), 3);
}

TEST(RestartBudget, CountsFailuresSinceTheLastProgress) {
  RestartBudget budget(2);
  for (int day = 0; day < 10; ++day) {
    EXPECT_TRUE(budget.WaitMsAfter(EndCause::kFailure));
    EXPECT_TRUE(budget.WaitMsAfter(EndCause::kFailure));
    budget.Progress();
  }
  EXPECT_TRUE(budget.WaitMsAfter(EndCause::kFailure));
  EXPECT_TRUE(budget.WaitMsAfter(EndCause::kFailure));
  EXPECT_FALSE(budget.WaitMsAfter(EndCause::kFailure));
  EXPECT_EQ(budget.failures(), 3);
}

TEST(RestartBudget, WhatEndsBeforeItsHelloIsStartedAgainOnce) {
  RestartBudget budget(10);
  EXPECT_TRUE(budget.WaitMsAfter(EndCause::kBeforeHello));
  EXPECT_FALSE(budget.WaitMsAfter(EndCause::kBeforeHello));
  EXPECT_FALSE(RestartBudget(0).WaitMsAfter(EndCause::kBeforeHello));
  RestartBudget between(10);
  EXPECT_TRUE(between.WaitMsAfter(EndCause::kBeforeHello));
  EXPECT_TRUE(between.WaitMsAfter(EndCause::kFailure));
  EXPECT_TRUE(between.WaitMsAfter(EndCause::kBeforeHello));
}

TEST(RestartBudget, WhatCouldNotBeStartedIsTriedAFewMoreTimes) {
  RestartBudget budget(1);
  for (int i = 0; i < RestartBudget::kNotStartedMax; ++i) {
    EXPECT_EQ(budget.WaitMsAfter(EndCause::kNotStarted), RestartBudget::kWaitMsMin);
  }
  EXPECT_FALSE(budget.WaitMsAfter(EndCause::kNotStarted));
  EXPECT_EQ(budget.failures(), 0);
  budget.Progress();
  EXPECT_TRUE(budget.WaitMsAfter(EndCause::kNotStarted));
}

TEST(RestartBudget, APauseOfThisProcessCountsForNothing) {
  RestartBudget budget(0);
  for (int pause = 0; pause < 100; ++pause) {
    EXPECT_TRUE(budget.WaitMsAfter(EndCause::kOwnPause));
  }
  EXPECT_FALSE(budget.WaitMsAfter(EndCause::kFailure));
}

TEST(RestartBudget, TheWaitDoublesWithEachFailureAndEndsWithProgress) {
  RestartBudget budget(100);
  for (const int64_t seconds : {1, 2, 4, 8, 16, 32, 60, 60, 60}) {
    EXPECT_EQ(budget.WaitMsAfter(EndCause::kFailure), 1000 * seconds);
  }
  for (int i = 0; i < 80; ++i) EXPECT_EQ(budget.WaitMsAfter(EndCause::kNodeFault), 60'000);
  budget.Progress();
  EXPECT_EQ(budget.WaitMsAfter(EndCause::kFailure), 1000);
}

TEST(RestartBudget, APreemptedOneIsStartedAgainAtOnceAndWithoutCounting) {
  RestartBudget budget(0);
  for (int64_t i = 0; i < RestartBudget::kPreemptionsMax; ++i) {
    EXPECT_EQ(budget.WaitMsAfter(EndCause::kPreempted), 0);
  }
  EXPECT_EQ(budget.failures(), 0);
  EXPECT_FALSE(budget.WaitMsAfter(EndCause::kPreempted)) << "but not for ever";
}

TEST(RestartBudget, WhatRanOutOfMemoryIsTriedOnceMore) {
  RestartBudget budget(10);
  EXPECT_TRUE(budget.WaitMsAfter(EndCause::kOutOfMemory));
  EXPECT_FALSE(budget.WaitMsAfter(EndCause::kOutOfMemory));
}

TEST(LaunchPlan, AMachineWithAFaultIsLeftOutForAWhile) {
  LaunchPlan plan(4, 4);
  const std::map<std::string, size_t> hosts = {{"a", 2}, {"b", 2}};
  EXPECT_FALSE(plan.Exclude("a", {{"a", 4}}, 1000)) << "the gang was on no other";
  EXPECT_FALSE(plan.Exclude("", hosts, 1000));
  EXPECT_TRUE(plan.Exclude("a", hosts, 1000));
  EXPECT_EQ(plan.ExcludedAt(1000), std::vector<std::string>{"a"});
  EXPECT_FALSE(plan.Exclude("b", hosts, 2000)) << "none would be left";
  EXPECT_EQ(plan.ExcludedAt(999 + kExcludedMs), std::vector<std::string>{"a"});
  EXPECT_TRUE(plan.ExcludedAt(1000 + kExcludedMs).empty());
}

TEST(LaunchPlan, WhereNoneMayBeMissingEveryMachineIsTriedAgain) {
  LaunchPlan plan(4, 4);
  const std::map<std::string, size_t> hosts = {{"a", 2}, {"b", 2}};
  EXPECT_FALSE(plan.NotComeUp(0, hosts, 1000)) << "the next one would be the same";
  plan.Exclude("a", hosts, 1000);
  EXPECT_TRUE(plan.NotComeUp(0, hosts, 2000));
  EXPECT_EQ(plan.ranks(), 4);
  EXPECT_TRUE(plan.ExcludedAt(2000).empty());
  EXPECT_FALSE(plan.NotComeUp(0, hosts, 3000));
}

TEST(LaunchPlan, AGangThatDoesNotComeUpIsTriedWithFewerRanks) {
  LaunchPlan plan(8, 3);
  EXPECT_FALSE(plan.NotComeUp(0, {}, 1000)) << "tried once more";
  EXPECT_TRUE(plan.NotComeUp(6, {}, 2000));
  EXPECT_EQ(plan.ranks(), 6) << "as many as came up";
  EXPECT_TRUE(plan.NotComeUp(0, {}, 3000));
  EXPECT_EQ(plan.ranks(), 5);
  EXPECT_TRUE(plan.NotComeUp(1, {}, 4000));
  EXPECT_EQ(plan.ranks(), 3) << "launch.ranks_min";
  EXPECT_FALSE(plan.NotComeUp(0, {}, 5000));
  plan.Progress();
  EXPECT_EQ(plan.ranks(), 8);
  EXPECT_FALSE(plan.NotComeUp(0, {}, 6000));
}

TEST(LaunchPlan, WithoutTheRanksOfAMachineThatIsLeftOut) {
  LaunchPlan plan(8, 3);
  const std::map<std::string, size_t> hosts = {{"a", 3}, {"b", 3}, {"c", 2}};
  plan.Exclude("a", hosts, 1000);
  EXPECT_EQ(plan.ranks(), 8) << "another machine may take its place";
  EXPECT_TRUE(plan.NotComeUp(0, hosts, 2000));
  EXPECT_EQ(plan.ranks(), 5);
}

class ChildEndTest : public ::testing::Test {
 protected:
  void Append(const std::string& text) {
    const std::string before = Env::Posix()->ReadFile(path_).value_or("");
    ASSERT_TRUE(WriteFileAtomically(*Env::Posix(), path_, before + text).ok());
  }
  std::string Message(const cluster::ExitStatus& exit) {
    return MessageOf(ChildEndStatus("agent-0", {exit}, log_));
  }

  testing::TempDir dir_;
  const std::string path_ = dir_.Path("log");
  ChildLog log_{*Env::Posix(), path_};
};

TEST_F(ChildEndTest, ShowsTheLastLinesOfThisStartOnly) {
  EXPECT_EQ(log_.LastLines(), "");
  EXPECT_THAT(Message({.code = 1}), HasSubstr("see " + path_)) << "nothing to show";
  Append("of an earlier start\n");
  const ChildLog log(*Env::Posix(), path_);
  EXPECT_EQ(log.LastLines(), "");
  std::string lines;
  for (int line = 0; line < 9; ++line) lines += "line " + std::to_string(line) + "\n";
  Append(lines);
  EXPECT_EQ(log.LastLines(), "line 3\nline 4\nline 5\nline 6\nline 7\nline 8");
  Append(std::string(100'000, 'x') + "\nthe end\n");
  EXPECT_EQ(log.LastLines(), "the end");
  const absl::Status status = ChildEndStatus("agent-0", {cluster::ExitStatus{.code = 1}}, log);
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_EQ(MessageOf(status),
            "agent-0 ended with exit code 1; see " + path_ + "\nits last lines:\nthe end");
}

TEST_F(ChildEndTest, NamesTheRankThatALauncherNames) {
  Append(
      "-----\nmpirun noticed that process rank 1 with PID 0 on node vm exited on signal 9 "
      "(Killed).\n-----\n");
  EXPECT_THAT(
      FirstLine(Message({.code = 137})),
      HasSubstr("agent-0 ended with exit code 137; rank 1 on vm exited on signal 9 (Killed)"));
  const ChildLog log(*Env::Posix(), path_);
  Append("srun: error: n2: task 3: Exited with exit code 9\n");
  EXPECT_THAT(FirstLine(MessageOf(ChildEndStatus("x", {cluster::ExitStatus{.code = 9}}, log))),
              HasSubstr("; rank 3 on n2: Exited with exit code 9; see " + path_));
  EXPECT_THAT(Message({.signal = 15}), HasSubstr("agent-0 was killed by signal 15"));
}

// As srun 22.05 prints it on a node that lost its power, in the allocation after the requeue.
TEST_F(ChildEndTest, ARankThatSlurmCouldNotStartIsNamedAndNoneThatItKilledThen) {
  Append(
      "srun: launch/slurm: launch_p_step_launch: StepId=3.3 aborted before step completely "
      "launched.\nsrun: error: task 1 launch failed: Unspecified error\n"
      "srun: error: n1: task 0: Killed\n");
  const std::string message = Message({.code = 137});
  EXPECT_THAT(FirstLine(message),
              "agent-0 ended with exit code 137; Slurm could not start rank 1: Unspecified error; "
              "see " +
                  path_);
  EXPECT_TRUE(SaysNotStarted(message));
  EXPECT_FALSE(SaysNotStarted("agent-0 ended with exit code 137; rank 0 on n1: Killed"));
}

TEST_F(ChildEndTest, SaysWhetherTheKernelKilledForWantOfMemory) {
  const std::string root = dir_.Path("root");
  ASSERT_TRUE(Env::Posix()->CreateDirs(root + "/proc").ok());
  const auto set_kills = [&](int kills) {
    ASSERT_TRUE(WriteFileAtomically(*Env::Posix(), root + "/proc/vmstat",
                                    "oom_kill " + std::to_string(kills) + "\n")
                    .ok());
  };
  const auto message = [](const ChildLog& log) {
    return MessageOf(ChildEndStatus("agent-0", {cluster::ExitStatus{.signal = 9}}, log));
  };
  EXPECT_THAT(message(ChildLog(*Env::Posix(), path_, root)),
              HasSubstr("the kernel does this when"));
  set_kills(4);
  const ChildLog log(*Env::Posix(), path_, root);
  EXPECT_THAT(message(log), HasSubstr("killed none of this machine for want of memory"));
  EXPECT_FALSE(SaysOutOfMemory(message(log)));
  set_kills(5);
  EXPECT_TRUE(SaysOutOfMemory(message(log))) << message(log);
}

TEST_F(ChildEndTest, SaysMemoryWhereThatIsTheCause) {
  EXPECT_THAT(Message({.code = 1}), Not(HasSubstr("memory")));
  EXPECT_THAT(Message({.signal = 11}), Not(HasSubstr("memory")));
  Append("terminate called after throwing an instance of 'std::bad_alloc'\n");
  EXPECT_THAT(Message({.signal = 6}), HasSubstr("ran out of memory"));
  EXPECT_THAT(MemoryHint("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
              HasSubstr("ran out of memory"));
  EXPECT_EQ(MemoryHint("the loss is not a finite number"), "");
}

TEST_F(ChildEndTest, AChildWithoutRoomOnTheDiskSaysSoByItsExitCode) {
  EXPECT_TRUE(
      absl::IsResourceExhausted(ChildEndStatus("agent-0", {cluster::ExitStatus{.code = 5}}, log_)));
}

}  // namespace
}  // namespace halcyon::coordinator
