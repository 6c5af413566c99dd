#include "cluster/gang.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/env.h"

namespace halcyon::cluster {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kPatienceMs = 30'000;

class GangTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "gang_test_" + std::to_string(getpid());
    ASSERT_TRUE(Env::Posix()->RemoveTree(folder_).ok());
    ASSERT_TRUE(Env::Posix()->CreateDirs(folder_).ok());
  }
  void TearDown() override { EXPECT_TRUE(Env::Posix()->RemoveTree(folder_).ok()); }

  static std::unique_ptr<Gang> Launch(const std::string& script,
                                      std::vector<std::string> kill_command = {}) {
    auto child = ChildProcess::Spawn({.argv = {"sh", "-c", script}, .env = {}, .output_path = ""});
    EXPECT_TRUE(child.ok()) << child.status();
    return MakeGang(*std::move(child),
                    {.launcher = "mpirun", .hosts = {}, .kill_command = std::move(kill_command)});
  }

  static GangEnd Wait(Gang& gang) {
    EXPECT_TRUE(Clock::Real()->WaitFor([&] { return gang.Poll().has_value(); }, kPatienceMs));
    return gang.Poll().value_or(GangEnd{});
  }

  std::string folder_;
};

TEST_F(GangTest, EndsAsItsLauncherDoes) {
  const GangEnd end = Wait(*Launch("exit 7"));
  EXPECT_FALSE(end.ok());
  EXPECT_EQ(end.ToString(), "exit code 7");
}

TEST_F(GangTest, IsAdoptedByItsRecordAndKilled) {
  const auto launched = Launch("sleep 1000 & wait");
  auto adopted = AdoptGang(launched->record());
  ASSERT_TRUE(adopted.ok()) << adopted.status();
  EXPECT_EQ((*adopted)->launcher()->pid, launched->launcher()->pid);
  EXPECT_EQ((*adopted)->record(), launched->record());
  EXPECT_FALSE((*adopted)->Poll().has_value());
  (*adopted)->Kill();
  EXPECT_EQ(Wait(*launched).exit->signal, SIGKILL);
  const GangEnd end = Wait(**adopted);
  EXPECT_FALSE(end.exit.has_value());
  EXPECT_TRUE(end.ok());  // nothing is known against it
}

// As mpirun starts its ranks: each in a session, and so in a group, of its own.
TEST_F(GangTest, AKillEndsWhatTheLauncherHasStartedInOtherGroups) {
  const std::string path = folder_ + "/pid";
  const auto gang = Launch("setsid sh -c 'echo $$ > " + path + ".new; mv " + path + ".new " + path +
                           "; exec sleep 1000' & wait");
  ASSERT_TRUE(Clock::Real()->WaitFor([&] { return Env::Posix()->Exists(path); }, kPatienceMs));
  const auto rank = IdentityOfProcess(std::stoi(Env::Posix()->ReadFile(path).value_or("0")));
  ASSERT_TRUE(rank.has_value());
  gang->Kill();
  EXPECT_EQ(Wait(*gang).exit->signal, SIGKILL);
  EXPECT_TRUE(Clock::Real()->WaitFor([&] { return !IsAlive(*rank); }, kPatienceMs));
}

TEST_F(GangTest, IsNotAdoptedWhenItsLauncherHasEnded) {
  const auto launched = Launch("true");
  const nlohmann::json record = launched->record();
  Wait(*launched);
  const auto adopted = AdoptGang(record);
  EXPECT_TRUE(absl::IsNotFound(adopted.status())) << adopted.status();
}

// The pid is that of a process which lives, but that began at another time.
TEST_F(GangTest, IsNotMistakenForAProcessThatHasItsPidNow) {
  const auto launched = Launch("sleep 1000");
  nlohmann::json record = launched->record();
  record["start_time"] = launched->launcher()->start_time - 1;
  EXPECT_TRUE(absl::IsNotFound(AdoptGang(record).status()));
  EXPECT_FALSE(launched->Poll().has_value());
}

TEST_F(GangTest, IsNotLookedForOnAnotherMachineOrInAnotherContainer) {
  const auto launched = Launch("sleep 1000");
  nlohmann::json elsewhere = launched->record();
  elsewhere["host"] = "n7";
  elsewhere["boot_id"] = "another";
  const absl::Status other_host = AdoptGang(elsewhere).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(other_host)) << other_host;
  EXPECT_THAT(MessageOf(other_host), HasSubstr("was started on n7"));
  nlohmann::json contained = launched->record();
  contained["pid_namespace"] = "pid:[1]";
  EXPECT_TRUE(absl::IsFailedPrecondition(AdoptGang(contained).status()));
  EXPECT_TRUE(absl::IsDataLoss(AdoptGang({{"host", 3}}).status()));
}

TEST_F(GangTest, TheKillCommandRunsBeforeTheLauncherIsKilled) {
  // It sees the launcher alive.
  const std::string seen = folder_ + "/seen";
  const auto gang = Launch(
      "sleep 1000", {"sh", "-c", "kill -0 $(cat " + folder_ + "/pid) && echo alive > " + seen});
  ASSERT_TRUE(
      WriteFileAtomically(*Env::Posix(), folder_ + "/pid", std::to_string(gang->launcher()->pid))
          .ok());
  gang->Kill();
  EXPECT_EQ(Wait(*gang).exit->signal, SIGKILL);
  EXPECT_EQ(Env::Posix()->ReadFile(seen).value_or(""), "alive\n");
}

TEST_F(GangTest, TheKillCommandOfAGangWhoseLauncherIsGoneIsRun) {
  const std::string ran = folder_ + "/ran";
  const auto launched = Launch("true", {"touch", ran});
  const nlohmann::json record = launched->record();
  Wait(*launched);
  EXPECT_FALSE(Env::Posix()->Exists(ran));
  EXPECT_TRUE(absl::IsNotFound(AdoptGang(record).status()));
  EXPECT_TRUE(Env::Posix()->Exists(ran));
}

}  // namespace
}  // namespace halcyon::cluster
