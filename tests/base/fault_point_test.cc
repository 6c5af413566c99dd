#include "base/fault_point.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/env.h"
#include "base/file_descriptor.h"
#include "tests/testing/temp_dir.h"

namespace halcyon {
namespace {

// The environment is read once a process, so every case runs in a process of its own: a death test
// that starts this test again. It inherits the marker's path through the environment.
class FaultPointDeathTest : public ::testing::Test {
 protected:
  FaultPointDeathTest() {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    setenv("HALCYON_FAULT_MARKER", dir_.Path("fault").c_str(), /*overwrite=*/0);
    marker_ = std::getenv("HALCYON_FAULT_MARKER");
  }
  ~FaultPointDeathTest() override { unsetenv("HALCYON_FAULT_MARKER"); }

  [[noreturn]] static void Reach(const char* chosen, const char* point) {
    setenv("HALCYON_FAULT_POINT", chosen, /*overwrite=*/1);
    FaultPoint(point);
    _exit(0);
  }
  bool Marked(int number) { return Env::Posix()->Exists(marker_ + "-" + std::to_string(number)); }

  testing::TempDir dir_;
  std::string marker_;
};

TEST_F(FaultPointDeathTest, KillsAtANamedPointOnce) {
  const auto killed = ::testing::KilledBySignal(SIGKILL);
  const auto lives = ::testing::ExitedWithCode(0);
  EXPECT_EXIT(Reach("other;here", "here"), killed, "");
  EXPECT_TRUE(Marked(1));
  EXPECT_FALSE(Marked(0));
  EXPECT_EXIT(Reach("other;here", "here"), lives, "");
  EXPECT_EXIT(Reach("other;here", "other"), killed, "");
  EXPECT_TRUE(Marked(0));
}

TEST_F(FaultPointDeathTest, HoldsTheCallingThreadUntilItMayGo) {
  const auto reach = [this] {
    std::thread other([this] {
      while (!Marked(0)) Clock::Real()->SleepMs(1);
      EXPECT_TRUE(FileDescriptor::Open(marker_ + "-0.go", O_CREAT | O_WRONLY).ok());
    });
    other.detach();
    Reach("here@hold", "here");
  };
  EXPECT_EXIT(reach(), ::testing::ExitedWithCode(0), "");
  EXPECT_TRUE(Env::Posix()->Exists(marker_ + "-0.go"));
}

TEST_F(FaultPointDeathTest, HangsTheCallingThreadAlone) {
  const auto reach = [this] {
    std::thread other([this] {
      while (!Marked(0)) Clock::Real()->SleepMs(1);
      _exit(7);
    });
    Reach("here@hang", "here");
  };
  EXPECT_EXIT(reach(), ::testing::ExitedWithCode(7), "");
}

TEST_F(FaultPointDeathTest, OtherPointsGoOn) {
  EXPECT_EXIT(Reach("other;here", "nowhere"), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(Reach("", "here"), ::testing::ExitedWithCode(0), "");
  EXPECT_FALSE(Marked(0));
}

}  // namespace
}  // namespace halcyon
