#include "coordinator/cli/number_check.h"

#include <gtest/gtest.h>

#include <limits>

namespace halcyon::coordinator {
namespace {

TEST(NumberCheckTest, WholeNumbersAreDigitsWithinTheirRange) {
  const NumberCheck check = WholeNumber(2, 1024);
  for (const char* good : {"2", "10", "1024"}) EXPECT_EQ(check(good), "") << good;
  for (const char* bad : {"", "1", "1025", "-3", "+5", "1e3", "3.0", " 3", "3 ", "0x10", "010",
                          "nan", "three", "9223372036854775808", "18446744073709551618"}) {
    EXPECT_EQ(check(bad), "\"" + std::string(bad) + "\" is not a whole number from 2 to 1024");
  }
  const NumberCheck seed = WholeNumber(0, std::numeric_limits<int64_t>::max());
  EXPECT_EQ(seed("0"), "");
  EXPECT_EQ(seed("9223372036854775807"), "");
  EXPECT_NE(seed("9223372036854775808"), "");
}

TEST(NumberCheckTest, RealNumbersAreFiniteAndWithinTheirRange) {
  const NumberCheck check = RealNumber(0, 1, /*above=*/true);
  for (const char* good : {"1", "0.5", "5e-1", "1e-300"}) EXPECT_EQ(check(good), "") << good;
  for (const char* bad : {"", "0", "-0.5", "1.01", "nan", "inf", "1e999", "0,5", "half", "0.5x"}) {
    EXPECT_EQ(check(bad), "\"" + std::string(bad) + "\" is not a number above 0 and at most 1");
  }
  EXPECT_EQ(RealNumber(0, 10)("0"), "");
  EXPECT_EQ(RealNumber(0, 10)("-1"), "\"-1\" is not a number from 0 to 10");
}

}  // namespace
}  // namespace halcyon::coordinator
