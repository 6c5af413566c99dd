#include "model/sampling/batch_temperature.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "model/sampling/counted_choice.h"
#include "tests/model/sampling/toy_sampler.h"

namespace halcyon::model {
namespace {

const std::vector<double> kProbabilities = {0.5, 0.3, 0.2};

PhiloxStream Random(uint64_t run) { return {5, NoiseStream::kGeneration, 0, run}; }

double Choose(int64_t count, int64_t size) {
  double ways = 1;
  for (int64_t i = 0; i < size; ++i) {
    ways *= static_cast<double>(count - i) / static_cast<double>(i + 1);
  }
  return ways;
}

// The paper's rule by definition: probability of each value, given the counts.
std::vector<double> ByDefinition(const std::vector<int64_t>& counts, int64_t inverse) {
  std::vector<double> weights(counts.size());
  for (int64_t m = inverse; m >= 1; --m) {
    double total = 0;
    for (size_t x = 0; x < counts.size(); ++x) {
      total += weights[x] = counts[x] >= m ? Choose(counts[x], m) : 0;
    }
    if (total == 0) continue;
    for (double& weight : weights) weight /= total;
    break;
  }
  return weights;
}

// The distribution of Algorithm 2 over kProbabilities at N draws, by enumerating the counts.
std::vector<double> Enumerated(int64_t draws, int64_t inverse) {
  std::vector<double> result(3);
  for (int64_t a = 0; a <= draws; ++a) {
    for (int64_t b = 0; a + b <= draws; ++b) {
      const int64_t c = draws - a - b;
      const double probability = Choose(draws, a) * Choose(draws - a, b) *
                                 std::pow(kProbabilities[0], a) * std::pow(kProbabilities[1], b) *
                                 std::pow(kProbabilities[2], c);
      const std::vector<double> given = ByDefinition({a, b, c}, inverse);
      for (size_t x = 0; x < 3; ++x) result[x] += probability * given[x];
    }
  }
  return result;
}

double TotalVariation(const std::vector<double>& p, const std::vector<double>& q) {
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) sum += std::abs(p[i] - q[i]) / 2;
  return sum;
}

// Given draws, in a random order, as independent draws are. 20000 choices; 5 standard errors each:
// a false alarm once in 1.7 million comparisons.
void ExpectFrequencies(const std::string& letters, int64_t inverse,
                       const std::map<char, double>& expected) {
  constexpr int kRuns = 20000;
  std::map<char, double> found;
  for (uint64_t run = 0; run < kRuns; ++run) {
    std::string order = letters;
    const PhiloxStream shuffle(9, NoiseStream::kEvaluation, 0, run);
    for (size_t i = order.size() - 1; i > 0; --i)
      std::swap(order[i], order[shuffle.Below(i, i + 1)]);
    BatchChooser chooser(inverse, static_cast<int64_t>(letters.size()), Random(run));
    found[static_cast<char>('A' + Feed(chooser, ToySampler(order)).value)] += 1.0 / kRuns;
  }
  EXPECT_EQ(found.size(), expected.size());
  for (const auto& [letter, probability] : expected) {
    const double error = std::sqrt(probability * (1 - probability) / kRuns);
    EXPECT_NEAR(found[letter], probability, 5 * error + 1e-9) << letter;
  }
}

TEST(BatchTemperatureTest, WeighsRepeatedValuesByTheirPairs) {
  ExpectFrequencies("ACADBEAFBG", 2, {{'A', 0.75}, {'B', 0.25}});
}

TEST(BatchTemperatureTest, WeighsTriplesAtAThird) {
  ExpectFrequencies("AAAABBBCC", 3, {{'A', 0.8}, {'B', 0.2}});
}

TEST(BatchTemperatureTest, FallsBackToSmallerCounts) {
  ExpectFrequencies("AABBC", 3, {{'A', 0.5}, {'B', 0.5}});
  ExpectFrequencies("ABCD", 2, {{'A', 0.25}, {'B', 0.25}, {'C', 0.25}, {'D', 0.25}});
  ExpectFrequencies("ABB", 7, {{'B', 1}});
}

TEST(BatchTemperatureTest, AtOneFollowsThePool) {
  ExpectFrequencies("AAAB", 1, {{'A', 0.75}, {'B', 0.25}});
}

// One false alarm in a million for each case.
TEST(BatchTemperatureTest, HasTheEnumeratedDistributionAtSmallNumbersOfDraws) {
  constexpr uint64_t kRuns = 30000;
  for (const auto& [draws, inverse] : std::vector<std::pair<int64_t, int64_t>>{
           {1, 2}, {2, 2}, {3, 2}, {4, 2}, {12, 2}, {3, 3}, {5, 3}, {12, 3}, {6, 4}}) {
    std::vector<int64_t> counts(3);
    for (uint64_t run = 0; run < kRuns; ++run) {
      BatchChooser chooser(inverse, draws, Random(run));
      ++counts[Feed(chooser, ToySampler(kProbabilities, run)).value];
    }
    EXPECT_LT(ChiSquare(counts, Enumerated(draws, inverse)), ChiSquareLimit(2))
        << draws << " draws, n = " << inverse;
  }
}

// Theorem 3: the error falls at least like 1/N.
TEST(BatchTemperatureTest, TendsToTheSharpenedDistribution) {
  for (const int64_t inverse : {2, 3}) {
    const std::vector<double> limit = Sharpened(kProbabilities, static_cast<double>(inverse));
    double before = TotalVariation(Enumerated(10, inverse), limit);
    for (const int64_t draws : {20, 40, 80, 160, 320}) {
      const double error = TotalVariation(Enumerated(draws, inverse), limit);
      EXPECT_LT(error, 0.62 * before) << draws;
      before = error;
    }
    EXPECT_LT(before, 0.006);
    // The code at 320 draws is as near to the limit as 10000 choices can show.
    std::vector<int64_t> counts(3);
    for (uint64_t run = 0; run < 10000; ++run) {
      BatchChooser chooser(inverse, 320, Random(run));
      ++counts[Feed(chooser, ToySampler(kProbabilities, run)).value];
    }
    EXPECT_LT(ChiSquare(counts, Enumerated(320, inverse)), ChiSquareLimit(2));
  }
}

// Every pool of five draws of four values, with several random numbers each: a chooser that knows
// everything from the start chooses the same draw.
TEST(BatchTemperatureTest, EarlyStoppingChangesNoChoice) {
  int64_t lazy_tokens = 0, eager_tokens = 0;
  for (int code = 0; code < 1024; ++code) {
    std::string letters;
    for (int digit = 0, rest = code; digit < 5; ++digit, rest /= 4) {
      letters += static_cast<char>('A' + rest % 4);
    }
    for (const int64_t inverse : {1, 2, 3, 5, 8}) {
      for (uint64_t seed = 0; seed < 8; ++seed) {
        BatchChooser lazy(inverse, 5, Random(seed)), eager(inverse, 5, Random(seed));
        const Outcome some = Feed(lazy, ToySampler(letters), 1, /*eager=*/false, 5);
        const Outcome all = Feed(eager, ToySampler(letters), 1, /*eager=*/true, 5);
        ASSERT_EQ(some.choice.draw, all.choice.draw) << letters << " n = " << inverse;
        lazy_tokens += some.tokens_decoded;
        eager_tokens += all.tokens_decoded;
      }
    }
  }
  EXPECT_LT(lazy_tokens, 0.9 * static_cast<double>(eager_tokens));
}

TEST(BatchTemperatureTest, RepeatedValuesEndItAfterFewDraws) {
  BatchChooser chooser(2, 200, Random(1));
  const Outcome outcome = Feed(chooser, ToySampler(std::vector<double>{1.0}, 1));
  EXPECT_EQ(outcome.draws_made, 8) << "four pairs at the first look";
  EXPECT_EQ(outcome.choice.draws_used, 8);
}

TEST(BatchTemperatureTest, CountingTellsOnlySmallGroupsApart) {
  // 200 values that differ in their first token: one token of each draw, and all of those that are
  // looked at first or chosen.
  const std::vector<double> even(300, 1.0 / 300);
  BatchChooser chooser(3, 200, Random(2));
  const Outcome outcome = Feed(chooser, ToySampler(even, 2));
  EXPECT_EQ(outcome.draws_made, 200);
  EXPECT_LT(outcome.tokens_decoded, 330);
}

TEST(BatchTemperatureTest, CopiesAreEqualWithoutDecoding) {
  Draws draws(3);
  draws.Add();
  for (int i = 0; i < 199; ++i) draws.AddCopyOf(0);
  BatchChooser chooser(4, 200, Random(3));
  Needs needs;
  EXPECT_FALSE(chooser.Advance(draws, false, &needs).has_value());
  ASSERT_EQ(needs.tokens.size(), 1u);
  draws.Learn(draws.Source(needs.tokens[0].draw), std::vector<int64_t>{1, 2, 3});
  EXPECT_TRUE(chooser.Advance(draws, false, &needs).has_value());
}

TEST(ChooseByCountsTest, UsesGammaFunctionsBetweenWholeNumbers) {
  // Counts 4, 2, 1 at 1/T = 1.5: C(c, 1.5) of those above 0.5.
  Draws draws(3);
  for (const char letter : std::string("ABACAAB")) {
    draws.Add();
    draws.Learn(draws.count() - 1, ChunkOfValue(letter - 'A'));
  }
  const auto weight = [](double count) {
    return std::tgamma(count + 1) / (std::tgamma(2.5) * std::tgamma(count - 0.5));
  };
  const double total = weight(4) + weight(2) + weight(1);
  Needs needs;
  const auto first_draw = [&](double uniform) {
    return ChooseByCounts(draws, 7, 1.5, uniform, &needs).value();
  };
  EXPECT_EQ(first_draw(weight(4) / total - 1e-9), 0);
  EXPECT_EQ(first_draw(weight(4) / total + 1e-9), 1);
  EXPECT_EQ(first_draw((weight(4) + weight(2)) / total - 1e-9), 1);
  EXPECT_EQ(first_draw((weight(4) + weight(2)) / total + 1e-9), 3);
}

}  // namespace
}  // namespace halcyon::model
