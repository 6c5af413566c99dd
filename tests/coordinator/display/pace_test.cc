#include "coordinator/display/pace.h"

#include <gtest/gtest.h>

namespace halcyon::coordinator {
namespace {

TEST(PaceTest, ASteadyPaceIsKnownAfterTheFirstSecond) {
  PaceMeter meter;
  EXPECT_EQ(meter.PerSecond(0), 0);
  meter.Start(5000, 0.25);
  meter.Add(5500, 0.255);
  EXPECT_EQ(meter.PerSecond(5500), 0) << "half a second tells little";
  meter.Add(6000, 0.26);
  EXPECT_NEAR(meter.PerSecond(6000), 0.01, 1e-12);
  for (int i = 1; i <= 100; ++i) meter.Add(6000 + 500 * i, 0.26 + 0.005 * i);
  EXPECT_NEAR(meter.PerSecond(56000), 0.01, 1e-12);
}

TEST(PaceTest, ASlowStartIsForgotten) {
  PaceMeter meter;
  meter.Start(0, 0);
  // A minute for the first thousandth, then a thousandth a second.
  meter.Add(60'000, 0.001);
  EXPECT_NEAR(meter.PerSecond(60'000), 0.001 / 60, 1e-12);
  for (int i = 1; i <= 300; ++i) meter.Add(60'000 + 1000 * i, 0.001 + 0.001 * i);
  // Five minutes later the mean since the start would be 301 thousandths in 360 s.
  EXPECT_NEAR(meter.PerSecond(360'000), 0.001, 0.00002);
}

TEST(PaceTest, SlowStepsDoNotMakeItWaver) {
  PaceMeter meter;
  meter.Start(0, 0);
  for (int i = 1; i <= 5; ++i) meter.Add(40'000 * i, 0.01 * i);
  const double pace = meter.PerSecond(200'000);
  EXPECT_NEAR(pace, 0.01 / 40, 1e-9);
  EXPECT_EQ(meter.PerSecond(239'000), pace) << "the next step is not due yet";
  meter.Add(239'000, 0.05);
  EXPECT_EQ(meter.PerSecond(239'000), pace) << "nothing new was told";
  EXPECT_LT(meter.PerSecond(200'000 + 20 * 40'000), pace / 2) << "it hangs";
}

TEST(PaceTest, AStageThatWentBackStartsAnew) {
  PaceMeter meter;
  meter.Start(0, 0);
  meter.Add(10'000, 0.5);
  meter.Add(20'000, 0.1);  // from its last checkpoint
  EXPECT_EQ(meter.PerSecond(20'000), 0);
  meter.Add(30'000, 0.2);
  EXPECT_NEAR(meter.PerSecond(30'000), 0.01, 1e-12);
}

}  // namespace
}  // namespace halcyon::coordinator
