#include "model/brier.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/philox.h"

namespace halcyon::model {
namespace {

using Chunk = std::vector<int64_t>;

bool SamePrefix(const Chunk& a, const Chunk& b, int n) {
  return std::equal(a.begin(), a.begin() + n, b.begin());
}

void Add(BrierAccumulator& brier, const std::vector<Chunk>& samples, const Chunk& truth,
         uint64_t document) {
  std::vector<int64_t> flat;
  for (const Chunk& sample : samples) flat.insert(flat.end(), sample.begin(), sample.end());
  brier.AddSamples(flat, truth, document);
}

// A distribution over chunks of four tokens of {0, 1}: tokens are independent, token k is 1 with
// probability p[k].
struct Coins {
  std::array<double, 4> p;
  Chunk Draw(const PhiloxStream& stream, uint64_t index) const {
    Chunk chunk;
    for (uint64_t k = 0; k < 4; ++k) chunk.push_back(stream.Uniform(4 * index + k) < p[k]);
    return chunk;
  }
  // P(the first n tokens agree) of a draw from this and one from `other`.
  double Agreement(const Coins& other, int n) const {
    double product = 1;
    for (int k = 0; k < n; ++k) product *= p[k] * other.p[k] + (1 - p[k]) * (1 - other.p[k]);
    return product;
  }
  double Brier(const Coins& truth, int n) const {
    return 2 * Agreement(truth, n) - Agreement(*this, n);
  }
};

constexpr Coins kModel = {{0.8, 0.3, 0.6, 0.9}};
constexpr Coins kTruth = {{0.9, 0.2, 0.7, 0.8}};

TEST(BrierTest, MatchesBruteForceOverPairs) {
  const PhiloxStream stream(1, NoiseStream::kEvaluation, 0, 0);
  BrierAccumulator brier;
  std::array<double, 4> accuracy{}, collision{};
  constexpr int kPositions = 30, kDraws = 5;
  for (int position = 0; position < kPositions; ++position) {
    std::vector<Chunk> samples;
    for (int i = 0; i < kDraws; ++i) samples.push_back(kModel.Draw(stream, 10 * position + i));
    const Chunk truth = kTruth.Draw(stream, 10 * position + 9);
    Add(brier, samples, truth, position / 3);
    for (int n = 1; n <= 4; ++n) {
      for (int i = 0; i < kDraws; ++i) {
        accuracy[n - 1] += SamePrefix(samples[i], truth, n) / (1.0 * kDraws * kPositions);
        for (int j = 0; j < kDraws; ++j) {
          if (i == j) continue;
          collision[n - 1] +=
              SamePrefix(samples[i], samples[j], n) / (kDraws * (kDraws - 1.0) * kPositions);
        }
      }
    }
  }
  const BrierAccumulator::Score score = brier.Compute(BrierProtocol::kPairwise, 1, 0);
  double product = 1;
  for (int n = 0; n < 4; ++n) {
    EXPECT_NEAR(score.accuracy[n], accuracy[n], 1e-12);
    EXPECT_NEAR(score.collision[n], collision[n], 1e-12);
    EXPECT_NEAR(score.brier[n], 2 * accuracy[n] - collision[n], 1e-12);
    product *= score.brier[n];
  }
  EXPECT_NEAR(score.brier_lm, 100 * std::pow(product, 0.25), 1e-9);
  EXPECT_EQ(score.positions, 30u);
  EXPECT_EQ(score.documents, 10u);
}

// 20000 positions of three draws; 5 standard errors: a false alarm once in 400000 runs of the four.
TEST(BrierTest, IsUnbiased) {
  const PhiloxStream stream(2, NoiseStream::kEvaluation, 0, 0);
  constexpr int kPositions = 20000;
  std::array<double, 4> sum{}, squares{};
  for (int position = 0; position < kPositions; ++position) {
    BrierAccumulator brier;
    Add(brier,
        {kModel.Draw(stream, 4 * position), kModel.Draw(stream, 4 * position + 1),
         kModel.Draw(stream, 4 * position + 2)},
        kTruth.Draw(stream, 4 * position + 3), 0);
    const BrierAccumulator::Score score = brier.Compute(BrierProtocol::kPairwise, 1, 0);
    for (int n = 0; n < 4; ++n) {
      sum[n] += score.brier[n] / kPositions;
      squares[n] += score.brier[n] * score.brier[n] / kPositions;
    }
  }
  for (int n = 0; n < 4; ++n) {
    const double error = std::sqrt((squares[n] - sum[n] * sum[n]) / kPositions);
    EXPECT_NEAR(sum[n], kModel.Brier(kTruth, n + 1), 5 * error);
  }
}

TEST(BrierTest, ClipsNegativeScores) {
  BrierAccumulator brier;
  // Never right, always the same: every Brier-n is -1, and their product must not turn positive.
  Add(brier, {{1, 1, 1, 1}, {1, 1, 1, 1}}, {2, 2, 2, 2}, 0);
  const BrierAccumulator::Score score = brier.Compute(BrierProtocol::kPairwise, 1, 10);
  for (const double value : score.brier) EXPECT_EQ(value, -1);
  for (const double value : score.counted) EXPECT_EQ(value, 0);
  EXPECT_EQ(score.brier_lm, 0);
}

// 2 * 0 - 1 twice and 2 * 1 - 0 twice: a product of +4, though two of the four are negative.
TEST(BrierTest, TwoSampleProtocolLetsNegativeScoresCancel) {
  BrierAccumulator brier;
  brier.AddValues({0, 0, 1, 1}, {1, 1, 0, 0}, 0);
  EXPECT_NEAR(brier.Compute(BrierProtocol::kTwoSamples, 1, 0).brier_lm, 100 * std::sqrt(2), 1e-9);
  EXPECT_EQ(brier.Compute(BrierProtocol::kPairwise, 1, 0).brier_lm, 0);
  brier = BrierAccumulator();
  brier.AddValues({0, 1, 1, 1}, {1, 1, 1, 1}, 0);
  EXPECT_EQ(brier.Compute(BrierProtocol::kTwoSamples, 1, 0).brier_lm, 0);
}

// A distribution over four-token sequences of {0, 1}, each token depending on those before it.
struct Tree {
  uint64_t seed;
  double Probability(int sequence) const {
    double product = 1;
    for (int k = 0, prefix = 1; k < 4; ++k) {
      const int token = sequence >> (3 - k) & 1;
      const double one = PhiloxStream(seed, NoiseStream::kEvaluation, 0, 0).Uniform(prefix);
      product *= token ? one : 1 - one;
      prefix = 2 * prefix + token;
    }
    return product;
  }
};
Chunk Tokens(int sequence) {
  return {sequence >> 3 & 1, sequence >> 2 & 1, sequence >> 1 & 1, sequence & 1};
}

// 2 E[P(y)] - sum_x P(x)^2 over n-grams, from the probabilities.
BrierOrders ClosedForm(const Tree& model, const Tree& truth) {
  BrierOrders brier{};
  for (int n = 1; n <= 4; ++n) {
    const int tail = 4 - n;
    for (int gram = 0; gram < 1 << n; ++gram) {
      double p = 0, q = 0;
      for (int rest = 0; rest < 1 << tail; ++rest) {
        p += model.Probability(gram << tail | rest);
        q += truth.Probability(gram << tail | rest);
      }
      brier[n - 1] += 2 * p * q - p * p;
    }
  }
  return brier;
}

// The expectation of Brier-n over every tuple of `draws` samples and every truth, each weighed by
// its probability: nothing is drawn.
BrierOrders Expectation(const Tree& model, const Tree& truth, int draws) {
  BrierOrders expected{};
  for (int tuple = 0; tuple < 1 << (4 * draws); ++tuple) {
    double weight = 1;
    std::vector<Chunk> samples;
    for (int i = 0; i < draws; ++i) {
      const int sequence = tuple >> (4 * i) & 15;
      weight *= model.Probability(sequence);
      samples.push_back(Tokens(sequence));
    }
    for (int y = 0; y < 16; ++y) {
      BrierAccumulator brier;
      Add(brier, samples, Tokens(y), 0);
      const auto score = brier.Compute(BrierProtocol::kPairwise, 1, 0);
      for (int n = 0; n < 4; ++n) expected[n] += weight * truth.Probability(y) * score.brier[n];
    }
  }
  return expected;
}

TEST(BrierTest, ExpectationIsTheClosedForm) {
  const Tree model{11}, truth{12};
  const BrierOrders closed = ClosedForm(model, truth);
  for (const int draws : {2, 3}) {
    const BrierOrders expected = Expectation(model, truth, draws);
    for (int n = 0; n < 4; ++n) EXPECT_NEAR(expected[n], closed[n], 1e-12) << draws << " draws";
  }
}

// Two draws of the pairwise statistic are the paper's [x1 = y] + [x2 = y] - [x1 = x2], tuple by
// tuple; with values that are the exact probabilities both protocols give the closed form's score.
TEST(BrierTest, TwoSampleProtocolGivesTheClosedForm) {
  for (int x1 = 0; x1 < 16; ++x1) {
    for (int x2 = 0; x2 < 16; ++x2) {
      for (int y = 0; y < 16; ++y) {
        BrierAccumulator brier;
        Add(brier, {Tokens(x1), Tokens(x2)}, Tokens(y), 0);
        const auto score = brier.Compute(BrierProtocol::kTwoSamples, 1, 0);
        for (int n = 1; n <= 4; ++n) {
          const int tail = 4 - n;
          const int reference =
              (x1 >> tail == y >> tail) + (x2 >> tail == y >> tail) - (x1 >> tail == x2 >> tail);
          ASSERT_EQ(score.brier[n - 1], reference) << x1 << " " << x2 << " " << y;
        }
      }
    }
  }
  const Tree model{13}, truth{13};
  const BrierOrders closed = ClosedForm(model, truth);
  BrierOrders accuracy{}, collision{};
  for (int n = 1; n <= 4; ++n) {
    for (int gram = 0; gram < 1 << n; ++gram) {
      double p = 0;
      for (int rest = 0; rest < 1 << (4 - n); ++rest) {
        p += model.Probability(gram << (4 - n) | rest);
      }
      accuracy[n - 1] += p * p;
      collision[n - 1] += p * p;
    }
  }
  BrierAccumulator brier;
  brier.AddValues(accuracy, collision, 0);
  const double expected = 100 * std::pow(closed[0] * closed[1] * closed[2] * closed[3], 0.25);
  for (const auto protocol : {BrierProtocol::kPairwise, BrierProtocol::kTwoSamples}) {
    EXPECT_NEAR(brier.Compute(protocol, 1, 0).brier_lm, expected, 1e-9);
  }
}

TEST(BrierTest, NothingScoresNothing) {
  const BrierAccumulator::Score score = BrierAccumulator().Compute(BrierProtocol::kPairwise, 1, 10);
  EXPECT_EQ(score.brier_lm, 0);
  EXPECT_EQ(score.positions, 0u);
}

// `documents` documents of five positions each; those of one document share their difficulty.
BrierAccumulator Experiment(uint64_t seed, uint64_t documents) {
  const PhiloxStream stream(seed, NoiseStream::kEvaluation, 0, 0);
  BrierAccumulator brier;
  for (uint64_t document = 0; document < documents; ++document) {
    for (uint64_t position = 0; position < 5; ++position) {
      const uint64_t index = 4 * (5 * document + position);
      Add(brier, {kModel.Draw(stream, index), kModel.Draw(stream, index + 1)},
          kTruth.Draw(stream, index + 2), document);
    }
  }
  return brier;
}

TEST(BrierTest, BootstrapDependsOnTheSeedAlone) {
  const BrierAccumulator brier = Experiment(3, 40);
  const BrierAccumulator::Score one = brier.Compute(BrierProtocol::kPairwise, 5, 200),
                                same = brier.Compute(BrierProtocol::kPairwise, 5, 200);
  const BrierAccumulator::Score other = brier.Compute(BrierProtocol::kPairwise, 6, 200);
  EXPECT_EQ(one.low, same.low);
  EXPECT_EQ(one.high, same.high);
  EXPECT_NE(one.low, other.low);
  EXPECT_LT(one.low, one.brier_lm);
  EXPECT_GT(one.high, one.brier_lm);
}

// 200 experiments; at 94 % coverage fewer than 175 hits happen once in 5000 runs, and the interval
// is not vacuous when it misses at all.
TEST(BrierTest, IntervalCoversTheTruth) {
  double product = 1;
  for (int n = 1; n <= 4; ++n) product *= kModel.Brier(kTruth, n);
  const double truth = 100 * std::pow(product, 0.25);
  int hits = 0;
  for (uint64_t experiment = 0; experiment < 200; ++experiment) {
    const BrierAccumulator::Score score =
        Experiment(100 + experiment, 100).Compute(BrierProtocol::kPairwise, 1, 200);
    hits += score.low <= truth && truth <= score.high;
  }
  EXPECT_GE(hits, 175);
  EXPECT_LT(hits, 200);
}

TEST(BrierTest, MergedPartsEqualTheWhole) {
  const PhiloxStream stream(4, NoiseStream::kEvaluation, 0, 0);
  BrierAccumulator whole, even, odd;
  for (uint64_t position = 0; position < 60; ++position) {
    const std::vector<Chunk> samples = {kModel.Draw(stream, 3 * position),
                                        kModel.Draw(stream, 3 * position + 1)};
    const Chunk truth = kTruth.Draw(stream, 3 * position + 2);
    const uint64_t document = 0xFEDCBA9876543210u + position % 7;
    Add(whole, samples, truth, document);
    Add(position % 2 ? odd : even, samples, truth, document);
  }
  ASSERT_TRUE(even.Merge(odd.Serialise()).ok());
  EXPECT_EQ(even.Serialise(), whole.Serialise());
  EXPECT_EQ(even.Compute(BrierProtocol::kPairwise, 1, 100).low,
            whole.Compute(BrierProtocol::kPairwise, 1, 100).low);
  BrierAccumulator empty;
  ASSERT_TRUE(empty.Merge(whole.Serialise()).ok());
  EXPECT_EQ(empty.Serialise(), whole.Serialise());
}

TEST(BrierTest, RefusesWhatIsNotASerialisedAccumulator) {
  std::vector<double> good = Experiment(5, 3).Serialise();
  BrierAccumulator brier;
  const auto code = [&](const std::vector<double>& numbers) { return brier.Merge(numbers).code(); };
  EXPECT_EQ(code({}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(std::vector<double>(good.begin(), good.end() - 1)),
            absl::StatusCode::kInvalidArgument);
  std::vector<double> bad = good;
  bad[0] = 2;
  EXPECT_EQ(code(bad), absl::StatusCode::kInvalidArgument);
  bad = good;
  bad.back() = std::nan("");
  EXPECT_EQ(code(bad), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(brier.Serialise().size(), 1u);
  EXPECT_EQ(code(good), absl::StatusCode::kOk);
}

}  // namespace
}  // namespace halcyon::model
