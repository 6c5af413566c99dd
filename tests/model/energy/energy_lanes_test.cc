#include "model/energy/energy_lanes.h"

#include <gtest/gtest.h>

#include <cmath>

namespace halcyon::model {
namespace {

TEST(EnergyLanesTest, ExponentialIsTheLibrarysToThirteenDigits) {
  for (double first = 0; first > -700; first -= 0.0371) {
    Doubles x = {first, first * 0.001, first - 1e-9, first * 0.3};
    const Doubles before = x;
    Exponential(x);
    for (int lane = 0; lane < kDoubles; ++lane) {
      if (before[lane] < -700) continue;
      EXPECT_NEAR(x[lane] / std::exp(before[lane]), 1, 1e-13) << before[lane];
    }
  }
}

TEST(EnergyLanesTest, ExponentialVanishesFarBelowZero) {
  Doubles x = {-700.5, -1e4, -1e300, -INFINITY};
  Exponential(x);
  for (int lane = 0; lane < kDoubles; ++lane) {
    EXPECT_GE(x[lane], 0);
    EXPECT_LT(x[lane], 1e-300);
  }
}

}  // namespace
}  // namespace halcyon::model
