// Known answers of Philox4x32-10 from the Random123 distribution (kat_vectors).
#include "base/philox.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace halcyon {
namespace {

TEST(Philox, KnownAnswers) {
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(Philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(PhiloxStream, ValueAtAnIndexDoesNotDependOnTheSpan) {
  const PhiloxStream stream(7, NoiseStream::kHeadNoise, 3, 11);
  std::vector<float> whole(101);
  stream.FillNormal(0, whole);
  for (uint64_t first : {1, 2, 3, 4, 50, 99}) {
    std::vector<float> part(whole.size() - first);
    stream.FillNormal(first, part);
    EXPECT_EQ(part, std::vector<float>(whole.begin() + first, whole.end())) << first;
  }
  std::vector<uint32_t> bits(9);
  stream.FillBits(5, bits);
  for (size_t i = 0; i < bits.size(); ++i) EXPECT_EQ(bits[i], stream.Bits(5 + i));
}

// The block's number takes two words of the counter; Philox4x32 itself has known answers.
TEST(PhiloxStream, GoesOnBehindFourTimesTwoTo32) {
  const PhiloxStream stream(7, NoiseStream::kHeadNoise, 3, 11);
  const uint64_t far = uint64_t{1} << 34;
  EXPECT_NE(stream.Bits(far), stream.Bits(0));
  EXPECT_NE(stream.Bits(far), stream.Bits(2 * far));
  std::vector<uint32_t> across(8);
  stream.FillBits(far - 4, across);
  for (size_t i = 0; i < across.size(); ++i) EXPECT_EQ(across[i], stream.Bits(far - 4 + i));
}

TEST(PhiloxStream, StreamsStepsAndSamplesDiffer) {
  const PhiloxStream base(7, NoiseStream::kHeadNoise, 3, 11);
  EXPECT_NE(base.Bits(0), PhiloxStream(8, NoiseStream::kHeadNoise, 3, 11).Bits(0));
  EXPECT_NE(base.Bits(0), PhiloxStream(7, NoiseStream::kPosterior, 3, 11).Bits(0));
  EXPECT_NE(base.Bits(0), PhiloxStream(7, NoiseStream::kHeadNoise, 4, 11).Bits(0));
  EXPECT_NE(base.Bits(0), PhiloxStream(7, NoiseStream::kHeadNoise, 3, 12).Bits(0));
}

// Fixed seed; each bound is 5 standard errors wide, so a right generator fails once in ~10^6 seeds.
TEST(PhiloxStream, MomentsOfUniformAndNormal) {
  const PhiloxStream stream(1, NoiseStream::kPosterior, 0, 0);
  constexpr int kCount = 200000;
  std::vector<float> uniform(kCount), normal(kCount);
  stream.FillUniform(0, uniform);
  stream.FillNormal(0, normal);
  double uniform_sum = 0, normal_sum = 0, normal_squares = 0;
  for (int i = 0; i < kCount; ++i) {
    ASSERT_GE(uniform[i], 0.0f);
    ASSERT_LT(uniform[i], 1.0f);
    uniform_sum += uniform[i];
    normal_sum += normal[i];
    normal_squares += normal[i] * normal[i];
  }
  EXPECT_NEAR(uniform_sum / kCount, 0.5, 5 * std::sqrt(1.0 / 12 / kCount));
  EXPECT_NEAR(normal_sum / kCount, 0.0, 5 * std::sqrt(1.0 / kCount));
  EXPECT_NEAR(normal_squares / kCount, 1.0, 5 * std::sqrt(2.0 / kCount));
}

TEST(PhiloxStream, BelowStaysBelowAndReachesAll) {
  const PhiloxStream stream(1, NoiseStream::kBootstrap, 0, 0);
  std::vector<int> seen(7);
  for (uint64_t i = 0; i < 1000; ++i) ++seen.at(stream.Below(i, 7));
  for (int count : seen) EXPECT_GT(count, 90);
}

}  // namespace
}  // namespace halcyon
