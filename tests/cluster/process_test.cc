#include "cluster/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "base/clock.h"
#include "base/env.h"

namespace halcyon::cluster {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kPatienceMs = 20'000;

class ProcessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "process_test_" + std::to_string(getpid());
    ASSERT_TRUE(Env::Posix()->RemoveTree(folder_).ok());
    ASSERT_TRUE(Env::Posix()->CreateDirs(folder_).ok());
    output_path_ = folder_ + "/output";
  }
  void TearDown() override { EXPECT_TRUE(Env::Posix()->RemoveTree(folder_).ok()); }

  std::unique_ptr<ChildProcess> Shell(const std::string& script) {
    auto child = ChildProcess::Spawn({{"sh", "-c", script}, environment_, output_path_});
    EXPECT_TRUE(child.ok()) << child.status();
    return child.ok() ? *std::move(child) : nullptr;
  }

  static ExitStatus Wait(ChildProcess& child) {
    EXPECT_TRUE(Clock::Real()->WaitFor([&] { return child.Poll().has_value(); }, kPatienceMs));
    return child.Poll().value_or(ExitStatus{.code = -1});
  }

  ExitStatus Run(const std::string& script) { return Wait(*Shell(script)); }

  std::string Output() { return Env::Posix()->ReadFile(output_path_).value_or(""); }

  // Waits until the child has written `lines` lines.
  std::vector<std::string> OutputLines(size_t lines) {
    EXPECT_TRUE(Clock::Real()->WaitFor(
        [&] {
          const std::string text = Output();
          return std::count(text.begin(), text.end(), '\n') >= static_cast<ptrdiff_t>(lines);
        },
        kPatienceMs));
    std::istringstream text(Output());
    std::vector<std::string> result(lines);
    for (std::string& line : result) std::getline(text, line);
    return result;
  }

  static void ExpectEnds(pid_t pid) {
    EXPECT_TRUE(
        Clock::Real()->WaitFor([&] { return !IdentityOfProcess(pid).has_value(); }, kPatienceMs))
        << pid;
  }

  std::string folder_, output_path_;
  std::map<std::string, std::string> environment_;
};

TEST_F(ProcessTest, GivesTheExitCode) {
  EXPECT_TRUE(Run("exit 0").ok());
  const ExitStatus status = Run("exit 37");
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(status.code, 37);
  EXPECT_EQ(status.ToString(), "exit code 37");
}

TEST_F(ProcessTest, GivesTheSignal) {
  auto child = Shell("exec sleep 1000");
  EXPECT_EQ(child->Poll(), std::nullopt);
  child->Signal(SIGKILL);
  const ExitStatus status = Wait(*child);
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(status.signal, SIGKILL);
  EXPECT_EQ(status.ToString(), "killed by signal 9 (Killed)");
}

TEST_F(ProcessTest, ExplainsWhatCannotBeStarted) {
  const auto no_program = ChildProcess::Spawn({{"/no/such/program"}, {}, ""});
  EXPECT_TRUE(absl::IsNotFound(no_program.status()));
  EXPECT_THAT(MessageOf(no_program.status()), HasSubstr("/no/such/program"));
  const auto no_folder = ChildProcess::Spawn({{"true"}, {}, folder_ + "/none/output"});
  EXPECT_TRUE(absl::IsNotFound(no_folder.status()));
  EXPECT_THAT(MessageOf(no_folder.status()), HasSubstr("none/output"));
}

TEST_F(ProcessTest, AppendsBothOutputs) {
  Run("echo one; echo two >&2");
  Run("echo three");
  EXPECT_EQ(Output(), "one\ntwo\nthree\n");
}

TEST_F(ProcessTest, AddsToAndReplacesTheEnvironment) {
  setenv("HALCYON_TEST_KEPT", "kept", 1);
  setenv("HALCYON_TEST_REPLACED", "old", 1);
  environment_ = {{"HALCYON_TEST_REPLACED", "new"}, {"HALCYON_TEST_ADDED", "a=b c"}};
  Run("echo $HALCYON_TEST_KEPT $HALCYON_TEST_REPLACED $HALCYON_TEST_ADDED");
  EXPECT_EQ(Output(), "kept new a=b c\n");
}

TEST_F(ProcessTest, InheritsNeitherInputNorOpenFilesNorIgnoredSignals) {
  // Without close-on-exec, and not a number that the shell itself would use.
  ASSERT_EQ(dup2(STDERR_FILENO, 77), 77);
  const auto before = signal(SIGTERM, SIG_IGN);
  auto child = Shell("cat; echo /proc/self/fd/*; exec sleep 1000");
  signal(SIGTERM, before);
  close(77);
  EXPECT_THAT(OutputLines(1)[0], ::testing::Not(HasSubstr("77")));
  child->Signal(SIGTERM);
  EXPECT_EQ(Wait(*child).signal, SIGTERM);
}

TEST_F(ProcessTest, SignalsTheWholeGroup) {
  auto child = Shell("sleep 1000 & echo $!; exec sleep 1000");
  const pid_t grandchild = std::stoi(OutputLines(1)[0]);
  ASSERT_TRUE(IdentityOfProcess(grandchild).has_value());
  child->SignalGroup(SIGTERM);
  EXPECT_EQ(Wait(*child).signal, SIGTERM);
  ExpectEnds(grandchild);
}

TEST_F(ProcessTest, DestructorKillsTheGroupAndReaps) {
  auto child = Shell("sleep 1000 & echo $!; exec sleep 1000");
  const pid_t pid = child->pid();
  const pid_t grandchild = std::stoi(OutputLines(1)[0]);
  child.reset();
  EXPECT_EQ(kill(pid, 0), -1);  // not even a zombie
  ExpectEnds(grandchild);
}

TEST_F(ProcessTest, EndOfTheChildEndsTheRestOfItsGroup) {
  auto child = Shell("sleep 1000 & echo $!");
  const pid_t grandchild = std::stoi(OutputLines(1)[0]);
  EXPECT_TRUE(Wait(*child).ok());
  ExpectEnds(grandchild);
}

TEST_F(ProcessTest, AChildThatBlocksStopSignalsIsEndedByNoneOfThem) {
  auto child = ChildProcess::Spawn({.argv = {"sh", "-c", "echo on; read line; echo off"},
                                    .env = {},
                                    .output_path = output_path_,
                                    .block_stop_signals = true});
  ASSERT_TRUE(child.ok()) << child.status();
  // It has no input, so it ends by itself; blocked signals would have ended it at "off" at latest.
  for (const int signal : StopSignalNumbers()) (*child)->SignalGroup(signal);
  EXPECT_TRUE(Wait(**child).ok());
  EXPECT_EQ(Output(), "on\noff\n");
}

TEST_F(ProcessTest, StartsInTheFolderThatIsNamed) {
  // Also when this process's own folder is gone.
  const std::string gone = folder_ + "/gone";
  ASSERT_TRUE(Env::Posix()->CreateDirs(gone).ok());
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(gone);
  ASSERT_TRUE(Env::Posix()->RemoveTree(gone).ok());
  auto child = ChildProcess::Spawn(
      {.argv = {"pwd"}, .env = {}, .output_path = output_path_, .working_dir = folder_});
  std::filesystem::current_path(before);
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_TRUE(Wait(**child).ok());
  EXPECT_EQ(Output(), std::filesystem::canonical(folder_).string() + "\n");
}

TEST_F(ProcessTest, LeavesOutWhatStartsWithADroppedPrefix) {
  setenv("HALCYON_TEST_DROPPED_1", "x", 1);
  setenv("HALCYON_TEST_KEPT", "kept", 1);
  auto child = ChildProcess::Spawn(
      {.argv = {"sh", "-c",
                "echo $HALCYON_TEST_DROPPED_1 $HALCYON_TEST_DROPPED_2 $HALCYON_TEST_KEPT"},
       .env = {{"HALCYON_TEST_DROPPED_2", "set"}},
       .output_path = output_path_,
       .env_prefixes_dropped = {"HALCYON_TEST_DROPPED_"}});
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_TRUE(Wait(**child).ok());
  EXPECT_EQ(Output(), "set kept\n") << "what is set on purpose stays";
  unsetenv("HALCYON_TEST_DROPPED_1");
}

TEST_F(ProcessTest, ADescendantIsProvenByPidStartTimeAndParents) {
  auto child = Shell("sleep 1000 & echo $!; exec sleep 1000");
  const auto grandchild = IdentityOfProcess(std::stoi(OutputLines(1)[0]));
  const auto self = IdentityOfProcess(getpid());
  ASSERT_TRUE(grandchild.has_value() && self.has_value());
  EXPECT_TRUE(DescendsFrom(*grandchild, child->pid()));
  EXPECT_TRUE(DescendsFrom(*grandchild, getpid()));
  EXPECT_TRUE(DescendsFrom(*self, getpid()));
  EXPECT_FALSE(DescendsFrom(*self, child->pid()));
  ProcessIdentity another = *grandchild;
  another.start_time += 1;  // as if the pid had been reused
  EXPECT_FALSE(DescendsFrom(another, child->pid()));
  EXPECT_FALSE(DescendsFrom({.pid = 0, .start_time = 0}, child->pid()));
  EXPECT_EQ(BootId().size(), 36u) << BootId();
}

TEST_F(ProcessTest, IdentityEndsWithTheProcess) {
  auto child = Shell("exec sleep 1000");
  const auto identity = IdentityOfProcess(child->pid());
  ASSERT_TRUE(identity.has_value());
  EXPECT_EQ(identity->pid, child->pid());
  EXPECT_TRUE(IsAlive(*identity));
  child->Signal(SIGKILL);
  // Nobody has reaped it: the pid still exists, the process does not.
  ExpectEnds(child->pid());
  EXPECT_EQ(kill(child->pid(), 0), 0);
  EXPECT_FALSE(IsAlive(*identity));
  EXPECT_EQ(Wait(*child).signal, SIGKILL);
  EXPECT_FALSE(IsAlive(*identity));
}

TEST_F(ProcessTest, ReadsTheStartTimeBehindAnyName) {
  const std::string program = folder_ + "/a) S 1 (b c";
  ASSERT_EQ(symlink("/bin/sleep", program.c_str()), 0);
  auto child = ChildProcess::Spawn({{program, "1000"}, {}, ""});
  ASSERT_TRUE(child.ok()) << child.status();
  const auto named = IdentityOfProcess((*child)->pid());
  const auto self = IdentityOfProcess(getpid());
  ASSERT_TRUE(named.has_value() && self.has_value());
  EXPECT_GE(named->start_time, self->start_time);
  EXPECT_LT(named->start_time, self->start_time + 60'00 * 100);
}

TEST_F(ProcessTest, KillsOnlyTheProcessThatIsMeant) {
  auto child = Shell("exec sleep 1000");
  auto identity = IdentityOfProcess(child->pid());
  ASSERT_TRUE(identity.has_value());
  ProcessIdentity another = *identity;
  another.start_time -= 1;  // as if the pid had been reused since
  EXPECT_FALSE(IsAlive(another));
  KillProcess(another);
  EXPECT_TRUE(IsAlive(*identity));
  KillProcess(*identity);
  EXPECT_EQ(Wait(*child).signal, SIGKILL);
}

}  // namespace
}  // namespace halcyon::cluster
