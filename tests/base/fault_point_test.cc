#include "base/fault_point.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace halcyon {
namespace {

TEST(FaultPointTest, KillsAtTheNamedPointOnce) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const std::string marker = testing::TempDir() + "fault-" + std::to_string(getpid());
  const auto hit = [&] {
    setenv("HALCYON_FAULT_POINT", "other;here;there@parent", 1);
    setenv("HALCYON_FAULT_MARKER", marker.c_str(), 1);
    FaultPoint("nowhere");
    FaultPoint("here");
    _exit(0);
  };
  std::remove((marker + "-1").c_str());
  EXPECT_EXIT(hit(), testing::KilledBySignal(SIGKILL), "");
  EXPECT_EQ(access((marker + "-1").c_str(), F_OK), 0);
  std::remove((marker + "-1").c_str());
}

TEST(FaultPointTest, DoesNothingWhenItsMarkerIsThereOrNothingIsAsked) {
  FaultPoint("here");
  SUCCEED();
}

}  // namespace
}  // namespace halcyon
