// The pure parts of stopping and starting again, and what is told of a child that ended.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/env.h"
#include "coordinator/child_end.h"
#include "coordinator/restart_budget.h"
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
    EXPECT_TRUE(budget.MayStartAgain(EndCause::kFailure));
    EXPECT_TRUE(budget.MayStartAgain(EndCause::kFailure));
    budget.Progress();
  }
  EXPECT_TRUE(budget.MayStartAgain(EndCause::kFailure));
  EXPECT_TRUE(budget.MayStartAgain(EndCause::kFailure));
  EXPECT_FALSE(budget.MayStartAgain(EndCause::kFailure));
  EXPECT_EQ(budget.failures(), 3);
}

TEST(RestartBudget, WhatEndsBeforeItsHelloIsStartedAgainOnce) {
  RestartBudget budget(10);
  EXPECT_TRUE(budget.MayStartAgain(EndCause::kBeforeHello));
  EXPECT_FALSE(budget.MayStartAgain(EndCause::kBeforeHello));
  EXPECT_FALSE(RestartBudget(0).MayStartAgain(EndCause::kBeforeHello));
  RestartBudget between(10);
  EXPECT_TRUE(between.MayStartAgain(EndCause::kBeforeHello));
  EXPECT_TRUE(between.MayStartAgain(EndCause::kFailure));
  EXPECT_TRUE(between.MayStartAgain(EndCause::kBeforeHello));
}

TEST(RestartBudget, APauseOfThisProcessCountsForNothing) {
  RestartBudget budget(0);
  for (int pause = 0; pause < 100; ++pause) {
    EXPECT_TRUE(budget.MayStartAgain(EndCause::kOwnPause));
  }
  EXPECT_FALSE(budget.MayStartAgain(EndCause::kFailure));
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
            "agent-0 ended with exit code 1; the last lines of " + path_ + ":\nthe end");
}

TEST_F(ChildEndTest, SaysMemoryWhereThatIsTheCause) {
  EXPECT_THAT(Message({.code = 137}), HasSubstr("memory"));
  EXPECT_THAT(Message({.signal = 9}), HasSubstr("memory"));
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
