#include "model/sampling/exact_temperature.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "tests/model/sampling/toy_sampler.h"

namespace halcyon::model {
namespace {

const std::vector<double> kProbabilities = {0.4, 0.3, 0.2, 0.1};
constexpr int64_t kPlenty = int64_t{1} << 30;
constexpr uint64_t kRuns = 20000;

PhiloxStream Random(uint64_t run) { return {11, NoiseStream::kGeneration, 0, run}; }

TemperatureRule Exact(double temperature, int64_t draws_max = kPlenty) {
  return {.temperature = temperature,
          .algorithm = TemperatureAlgorithm::kExact,
          .draws_max = draws_max};
}

Outcome RunOnce(const TemperatureRule& rule, uint64_t run, int64_t block = 1, bool eager = false,
                int64_t pool = 0) {
  const auto chooser = MakeChooser(rule, Random(run));
  return Feed(*chooser, ToySampler(kProbabilities, run), block, eager, pool);
}

class ExactTemperatureTest : public testing::TestWithParam<double> {};

// One false alarm in a million for each temperature.
TEST_P(ExactTemperatureTest, FollowsTheSharpenedDistribution) {
  std::vector<int64_t> counts(kProbabilities.size());
  for (uint64_t run = 0; run < kRuns; ++run) ++counts[RunOnce(Exact(GetParam()), run).value];
  EXPECT_LT(ChiSquare(counts, Sharpened(kProbabilities, 1 / GetParam())), ChiSquareLimit(3));
}

// Theorem 2 (for n <= 2; with the shorter attempts of n > 2, as the header says). 5 standard
// errors: one false alarm in 1.7 million.
TEST_P(ExactTemperatureTest, TakesTheExpectedNumberOfDraws) {
  const double inverse = 1 / GetParam();
  const auto whole = static_cast<int>(inverse);
  const auto power_sum = [](double power) {
    return std::accumulate(kProbabilities.begin(), kProbabilities.end(), 0.0,
                           [&](double sum, double p) { return sum + std::pow(p, power); });
  };
  double attempt = 1;
  for (int j = 1; j < whole; ++j) attempt += power_sum(j);
  const double theorem = whole + (inverse > whole ? power_sum(inverse - 1) : 0);
  const double expected = theorem - whole + attempt;

  double sum = 0, squares = 0;
  for (uint64_t run = 0; run < kRuns; ++run) {
    const auto draws = static_cast<double>(RunOnce(Exact(GetParam()), run).choice.draws_used);
    sum += draws;
    squares += draws * draws;
  }
  const double mean = sum / kRuns;
  const double error = std::sqrt((squares / kRuns - mean * mean) / kRuns);
  EXPECT_NEAR(mean, expected / power_sum(inverse), 5 * error + 1e-12);
  EXPECT_LE(expected, theorem);
  if (whole <= 2) {
    EXPECT_DOUBLE_EQ(expected, theorem);
  }
}

TEST_P(ExactTemperatureTest, BlocksDoNotMatter) {
  for (uint64_t run = 0; run < 300; ++run) {
    const Outcome one = RunOnce(Exact(GetParam()), run);
    const Outcome many = RunOnce(Exact(GetParam()), run, /*block=*/50);
    const Outcome all = RunOnce(Exact(GetParam()), run, /*block=*/1, /*eager=*/true, 5000);
    EXPECT_EQ(one.choice.draw, many.choice.draw);
    EXPECT_EQ(one.choice.draw, all.choice.draw);
    EXPECT_EQ(one.choice.draws_used, many.choice.draws_used);
    EXPECT_EQ(one.choice.draws_used, all.choice.draws_used);
  }
}

INSTANTIATE_TEST_SUITE_P(Temperatures, ExactTemperatureTest,
                         testing::Values(1.0, 0.9, 0.7, 0.5, 0.4, 1.0 / 3, 0.3, 0.22));

TEST(ExactTemperatureLimitTest, SaysWhenTheCountsDecided) {
  // Ten values as likely as each other: at T = 1/4 four equal draws in a row are rare.
  const std::vector<double> even(10, 0.1);
  int64_t limited = 0;
  for (uint64_t run = 0; run < 200; ++run) {
    const auto chooser = MakeChooser(Exact(0.25, /*draws_max=*/20), Random(run));
    const Outcome outcome = Feed(*chooser, ToySampler(even, run), /*block=*/7);
    EXPECT_LE(outcome.choice.draws_used, 20);
    if (!outcome.choice.ran_out) continue;
    ++limited;
    EXPECT_EQ(outcome.choice.draws_used, 20);
    // Then the value is a most frequent one among those that were drawn four times, or three...
    std::vector<int64_t> counts(10);
    const ToySampler sampler(even, run);
    for (int64_t draw = 0; draw < 20; ++draw) ++counts[sampler.ValueOf(draw)];
    const int64_t most = *std::max_element(counts.begin(), counts.end());
    EXPECT_GE(counts[outcome.value], std::min<int64_t>(4, most));
  }
  EXPECT_GT(limited, 150);
}

TEST(ExactTemperatureLimitTest, EndsWhenThereAreNoMoreDraws) {
  for (const double temperature : {0.5, 0.4, 0.3}) {
    const auto chooser = MakeChooser(Exact(temperature), Random(1));
    const Outcome outcome = Feed(*chooser, ToySampler("ABCDEDFG"), 1, false, /*pool=*/8);
    EXPECT_TRUE(outcome.choice.ran_out);
    EXPECT_EQ(outcome.choice.draws_used, 8);
    EXPECT_EQ(outcome.value, 'D' - 'A');
  }
}

TEST(ExactTemperatureLimitTest, LooksAtFirstTokensOnlyWhereTheyTell) {
  // Ten values, eight first tokens: most pairs differ in their first token already.
  const std::vector<double> even(10, 0.1);
  int64_t draws = 0, tokens = 0;
  for (uint64_t run = 0; run < 50; ++run) {
    const auto chooser = MakeChooser(Exact(0.5), Random(run));
    const Outcome outcome = Feed(*chooser, ToySampler(even, run));
    draws += outcome.draws_made;
    tokens += outcome.tokens_decoded;
  }
  EXPECT_LT(tokens, 2 * draws);  // of 3 a draw
}

}  // namespace
}  // namespace halcyon::model
