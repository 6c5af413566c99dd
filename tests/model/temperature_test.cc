#include "model/temperature.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

namespace halcyon::model {
namespace {

using testing::HasSubstr;

TEST(InverseTemperatureTest, AcceptsOneOverWholeNumbers) {
  EXPECT_EQ(InverseTemperature(1.0).value(), 1);
  EXPECT_EQ(InverseTemperature(0.5).value(), 2);
  EXPECT_EQ(InverseTemperature(0.333).value(), 3);
  EXPECT_EQ(InverseTemperature(1.0 / 7).value(), 7);
}

TEST(InverseTemperatureTest, NamesTheNearest) {
  const absl::Status status = InverseTemperature(0.4).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(MessageOf(status), HasSubstr("0.4"));
  EXPECT_THAT(MessageOf(status), HasSubstr("0.5 (1/2)"));
  EXPECT_THAT(MessageOf(status), HasSubstr("0.3333 (1/3)"));
  for (const double bad : {0.0, -1.0, 1.5, std::nan("")}) {
    EXPECT_EQ(InverseTemperature(bad).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

// Values of chunks of two tokens: (letter, 2 * letter).
std::vector<int64_t> Pool(std::string_view letters) {
  std::vector<int64_t> draws;
  for (const char letter : letters) draws.insert(draws.end(), {letter, 2 * letter});
  return draws;
}

std::map<char, double> Frequencies(std::string_view letters, int64_t inverse, int count) {
  const std::vector<int64_t> draws = Pool(letters);
  const PhiloxStream stream(3, NoiseStream::kGeneration, 0, 0);
  std::map<char, double> frequencies;
  for (int i = 0; i < count; ++i) {
    const int64_t row = ChooseAtTemperature(draws, 2, inverse, stream, i);
    frequencies[letters.at(row)] += 1.0 / count;
  }
  return frequencies;
}

// 40000 choices; 5 standard errors each: a false alarm once in 1.7 million comparisons.
void ExpectFrequencies(std::string_view letters, int64_t inverse,
                       const std::map<char, double>& expected) {
  constexpr int kCount = 40000;
  const std::map<char, double> found = Frequencies(letters, inverse, kCount);
  EXPECT_EQ(found.size(), expected.size());
  for (const auto& [letter, probability] : expected) {
    const double error = std::sqrt(probability * (1 - probability) / kCount);
    EXPECT_NEAR(found.at(letter), probability, 5 * error + 1e-12) << letter;
  }
}

TEST(ChooseAtTemperatureTest, WeighsRepeatedValuesByTheirPairs) {
  ExpectFrequencies("ACADBEAFBG", 2, {{'A', 0.75}, {'B', 0.25}});
}

TEST(ChooseAtTemperatureTest, WeighsTriplesAtAThird) {
  ExpectFrequencies("AAAABBBCC", 3, {{'A', 0.8}, {'B', 0.2}});
}

TEST(ChooseAtTemperatureTest, FallsBackToSmallerCounts) {
  ExpectFrequencies("AABBC", 3, {{'A', 0.5}, {'B', 0.5}});
  ExpectFrequencies("ABCD", 2, {{'A', 0.25}, {'B', 0.25}, {'C', 0.25}, {'D', 0.25}});
}

TEST(ChooseAtTemperatureTest, AtOneFollowsThePool) {
  ExpectFrequencies("AAAB", 1, {{'A', 0.75}, {'B', 0.25}});
}

TEST(ChooseAtTemperatureTest, ComparesWholeChunks) {
  // Equal first tokens, different second ones: only rows 1 and 3 are the same value.
  const std::vector<int64_t> draws = {1, 1, 1, 2, 1, 3, 1, 2};
  const PhiloxStream stream(3, NoiseStream::kGeneration, 0, 0);
  for (uint64_t i = 0; i < 50; ++i) EXPECT_EQ(ChooseAtTemperature(draws, 2, 2, stream, i), 1);
}

}  // namespace
}  // namespace halcyon::model
