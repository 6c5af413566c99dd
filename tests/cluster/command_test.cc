#include "cluster/command.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/env.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::cluster {
namespace {

constexpr int64_t kEndMsMax = 60'000;

TEST(RunCommand, ReturnsWhatAProgramPrintsAndHowItEnds) {
  const auto output = RunCommand({"sh", "-c", "echo out; echo error >&2; cat; exit 3"}, kEndMsMax);
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_EQ(output->out, "out\n");
  EXPECT_EQ(output->error, "error\n");
  EXPECT_EQ(output->exit.code, 3);
  const auto with_env = RunCommand({"sh", "-c", "echo $TRIED"}, kEndMsMax, {{"TRIED", "yes"}});
  ASSERT_TRUE(with_env.ok()) << with_env.status();
  EXPECT_EQ(with_env->out, "yes\n");
  const auto killed = RunCommand({"sh", "-c", "kill -9 $$"}, kEndMsMax);
  ASSERT_TRUE(killed.ok()) << killed.status();
  EXPECT_EQ(killed->exit.signal, 9);
}

TEST(RunCommand, MoreThanAPipeHoldsComesWhole) {
  const auto output = RunCommand(
      {"sh", "-c", "head -c 3000000 /dev/zero; head -c 2000000 /dev/zero >&2"}, kEndMsMax);
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_EQ(output->out.size(), 3'000'000u);
  EXPECT_EQ(output->error.size(), 2'000'000u);
}

TEST(RunCommand, WhatDoesNotEndIsKilledWithItsChildren) {
  const testing::TempDir dir;
  const auto output =
      RunCommand({"sh", "-c", "sleep 1000 & echo $! >" + dir.Path("pid") + "; wait"}, 300);
  EXPECT_TRUE(absl::IsUnavailable(output.status())) << output.status();
  const auto pid = Env::Posix()->ReadFile(dir.Path("pid"));
  ASSERT_TRUE(pid.ok()) << pid.status();
  EXPECT_TRUE(Clock::Real()->WaitFor(
      [&] { return !IdentityOfProcess(std::stoi(*pid)).has_value(); }, kEndMsMax));
}

TEST(RunCommand, AProgramThatIsNotThereIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(RunCommand({"/nonexistent/program"}, kEndMsMax).status()));
}

TEST(StartDetached, TheProgramHasASessionOfItsOwnAndItsOutputIsKept) {
  const testing::TempDir dir;
  const auto pid = StartDetached({.argv = {"sh", "-c", "pwd; echo $MARK; exec sleep 1000"},
                                  .env = {{"MARK", "set"}},
                                  .output_path = dir.Path("output"),
                                  .working_dir = dir.path()});
  ASSERT_TRUE(pid.ok()) << pid.status();
  EXPECT_TRUE(Clock::Real()->WaitFor(
      [&] {
        return Env::Posix()->ReadFile(dir.Path("output")).value_or("") == dir.path() + "\nset\n";
      },
      kEndMsMax));
  EXPECT_EQ(getsid(*pid), *pid);
  EXPECT_NE(getsid(*pid), getsid(0));
  kill(*pid, SIGKILL);
  waitpid(*pid, nullptr, 0);
}

}  // namespace
}  // namespace halcyon::cluster
