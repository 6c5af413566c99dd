#include "storage/half.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "base/philox.h"

namespace halcyon::storage {
namespace {

constexpr uint32_t kHalves = 1 << 16;

// From the definition of the format, in double arithmetic.
double ValueOfHalf(uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const double mantissa = half & 0x3ff;
  const double sign = half & 0x8000 ? -1 : 1;
  if (exponent == 31) {
    return mantissa == 0 ? sign * std::numeric_limits<double>::infinity()
                         : std::numeric_limits<double>::quiet_NaN();
  }
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

TEST(Half, EveryHalfHasTheValueOfItsDefinition) {
  for (uint32_t i = 0; i < kHalves; ++i) {
    const auto half = static_cast<uint16_t>(i);
    const float value = FloatFromHalf(half);
    if (std::isnan(ValueOfHalf(half))) {
      EXPECT_TRUE(std::isnan(value)) << i;
    } else {
      EXPECT_EQ(value, ValueOfHalf(half)) << i;
      EXPECT_EQ(std::signbit(value), i >= 0x8000) << i;
      EXPECT_EQ(HalfFromFloat(value), half) << i;
    }
  }
}

// The midpoint of two neighbours goes to the even one, everything else to the nearer.
TEST(Half, RoundsToNearestEven) {
  for (uint16_t low = 0; low < 0x7c00; ++low) {
    const auto high = static_cast<uint16_t>(low + 1);
    const double upper = high == 0x7c00 ? 65536.0 : ValueOfHalf(high);
    // Exact: neighbours differ in the eleventh bit, a float has 24.
    const auto middle = static_cast<float>((ValueOfHalf(low) + upper) / 2);
    const float infinity = std::numeric_limits<float>::infinity();
    for (const float sign : {1.0f, -1.0f}) {
      const uint16_t bit = sign < 0 ? 0x8000 : 0;
      EXPECT_EQ(HalfFromFloat(sign * middle), bit | (low % 2 == 0 ? low : high)) << low;
      EXPECT_EQ(HalfFromFloat(sign * std::nextafter(middle, 0.0f)), bit | low) << low;
      EXPECT_EQ(HalfFromFloat(sign * std::nextafter(middle, infinity)), bit | high) << low;
    }
  }
}

TEST(Half, KnownValues) {
  EXPECT_EQ(HalfFromFloat(1.0f), 0x3c00);
  EXPECT_EQ(HalfFromFloat(-2.0f), 0xc000);
  EXPECT_EQ(HalfFromFloat(0.1f), 0x2e66);
  EXPECT_EQ(HalfFromFloat(65504.0f), 0x7bff);
  EXPECT_EQ(HalfFromFloat(65519.996f), 0x7bff);
  EXPECT_EQ(HalfFromFloat(65520.0f), 0x7c00);
  EXPECT_EQ(HalfFromFloat(1e30f), 0x7c00);
  EXPECT_EQ(HalfFromFloat(std::numeric_limits<float>::infinity()), 0x7c00);
  EXPECT_EQ(HalfFromFloat(5.9604645e-8f), 0x0001);
  EXPECT_EQ(HalfFromFloat(1e-40f), 0x0000);
  EXPECT_EQ(HalfFromFloat(-0.0f), 0x8000);
  EXPECT_GT(HalfFromFloat(std::numeric_limits<float>::quiet_NaN()) & 0x7fff, 0x7c00);
}

// Its neighbours are those of the upper half's bits: the value is checked against the definition.
TEST(BFloat16, EveryOneHasTheValueOfItsDefinition) {
  for (uint32_t i = 0; i < kHalves; ++i) {
    const auto number = static_cast<uint16_t>(i);
    const float value = FloatFromBFloat16(number);
    const int exponent = (number >> 7) & 255, mantissa = number & 127;
    if (exponent == 255 && mantissa != 0) {
      EXPECT_TRUE(std::isnan(value)) << i;
      EXPECT_TRUE(std::isnan(FloatFromBFloat16(BFloat16FromFloat(value)))) << i;
      continue;
    }
    const double magnitude = exponent == 255 ? std::numeric_limits<double>::infinity()
                             : exponent == 0 ? std::ldexp(mantissa, -126 - 7)
                                             : std::ldexp(128 + mantissa, exponent - 127 - 7);
    EXPECT_EQ(value, number & 0x8000 ? -magnitude : magnitude) << i;
    EXPECT_EQ(BFloat16FromFloat(value), number) << i;
  }
}

TEST(BFloat16, RoundsToNearestEven) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (uint16_t low = 0; low < 0x7f80; ++low) {
    const auto high = static_cast<uint16_t>(low + 1);
    const double upper = high == 0x7f80 ? 0x1p128 : FloatFromBFloat16(high);
    const auto middle = static_cast<float>((FloatFromBFloat16(low) + upper) / 2);
    for (const float sign : {1.0f, -1.0f}) {
      const uint16_t bit = sign < 0 ? 0x8000 : 0;
      EXPECT_EQ(BFloat16FromFloat(sign * middle), bit | (low % 2 == 0 ? low : high)) << low;
      EXPECT_EQ(BFloat16FromFloat(sign * std::nextafter(middle, 0.0f)), bit | low) << low;
      EXPECT_EQ(BFloat16FromFloat(sign * std::nextafter(middle, infinity)), bit | high) << low;
    }
  }
}

// Whatever path the processor takes, and wherever in the array a value stands.
TEST(Half, ArraysEqualSingleValuesBitForBit) {
  std::vector<uint32_t> bits(100003);
  PhiloxStream(1, NoiseStream::kEvaluation, 0, 0).FillBits(0, bits);
  std::vector<float> values(bits.size());
  for (size_t i = 0; i < bits.size(); ++i) values[i] = std::bit_cast<float>(bits[i]);
  std::string bytes(2 * values.size() + 1, '\0');
  char* unaligned = bytes.data() + 1;
  EncodeHalves(values, unaligned);
  const auto half_at = [&](size_t i) {
    return static_cast<uint16_t>(static_cast<unsigned char>(unaligned[2 * i]) |
                                 static_cast<unsigned char>(unaligned[2 * i + 1]) << 8);
  };
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(half_at(i), HalfFromFloat(values[i])) << std::hex << bits[i];
  }

  std::string all(2 * kHalves, '\0');
  for (uint32_t i = 0; i < kHalves; ++i) {
    all[2 * i] = static_cast<char>(i);
    all[2 * i + 1] = static_cast<char>(i >> 8);
  }
  std::vector<float> decoded(kHalves);
  DecodeHalves(all.data(), decoded);
  for (uint32_t i = 0; i < kHalves; ++i) {
    EXPECT_EQ(std::bit_cast<uint32_t>(decoded[i]),
              std::bit_cast<uint32_t>(FloatFromHalf(static_cast<uint16_t>(i))))
        << i;
  }
}

}  // namespace
}  // namespace halcyon::storage
