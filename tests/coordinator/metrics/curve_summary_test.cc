#include "coordinator/metrics/curve_summary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace halcyon::coordinator {
namespace {

TEST(CurveSummaryTest, AFewValuesStandForThemselves) {
  CurveSummary curve(4);
  for (uint64_t step = 1; step <= 4; ++step) curve.Add(10 * step, -static_cast<double>(step));
  curve.Add(50, std::numeric_limits<double>::quiet_NaN());
  ASSERT_EQ(curve.points().size(), 4u);
  EXPECT_EQ(curve.points()[2].step, 30u);
  EXPECT_EQ(curve.points()[2].mean(), -3);
}

// Whatever the number of values: the points partition them.
TEST(CurveSummaryTest, EachPointIsOfTheValuesUpToItsStep) {
  for (const size_t points_max : {2, 3, 7, 64}) {
    for (const uint64_t count : {1, 2, 5, 63, 64, 65, 1000, 4097}) {
      CurveSummary curve(points_max);
      const auto value = [](uint64_t step) { return std::sin(static_cast<double>(step * step)); };
      for (uint64_t step = 1; step <= count; ++step) curve.Add(step, value(step));
      EXPECT_LE(curve.points().size(), points_max);
      EXPECT_GE(curve.points().size(), std::min<size_t>(count, points_max / 2));
      uint64_t first = 1;
      for (const CurveSummary::Point& point : curve.points()) {
        double sum = 0, low = 2, high = -2;
        for (uint64_t step = first; step <= point.step; ++step) {
          sum += value(step);
          low = std::min(low, value(step));
          high = std::max(high, value(step));
        }
        EXPECT_EQ(point.values, point.step - first + 1);
        EXPECT_NEAR(point.sum, sum, 1e-9);
        EXPECT_EQ(point.low, low);
        EXPECT_EQ(point.high, high);
        first = point.step + 1;
      }
      EXPECT_EQ(first, count + 1) << "no value is left out";
    }
  }
}

}  // namespace
}  // namespace halcyon::coordinator
