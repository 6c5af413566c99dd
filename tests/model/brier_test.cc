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
  brier.Add(flat, truth, document);
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
  BrierAccumulator brier(4);
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
  const BrierAccumulator::Score score = brier.Compute(1, 0);
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
    BrierAccumulator brier(4);
    Add(brier,
        {kModel.Draw(stream, 4 * position), kModel.Draw(stream, 4 * position + 1),
         kModel.Draw(stream, 4 * position + 2)},
        kTruth.Draw(stream, 4 * position + 3), 0);
    const BrierAccumulator::Score score = brier.Compute(1, 0);
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
  BrierAccumulator brier(4);
  // Never right, always the same: every Brier-n is -1, and their product must not turn positive.
  Add(brier, {{1, 1, 1, 1}, {1, 1, 1, 1}}, {2, 2, 2, 2}, 0);
  const BrierAccumulator::Score score = brier.Compute(1, 10);
  for (const double value : score.brier) EXPECT_EQ(value, -1);
  EXPECT_EQ(score.brier_lm, 0);
}

TEST(BrierTest, ShortChunksUseTheOrdersTheyHave) {
  BrierAccumulator brier(2);
  Add(brier, {{1, 2}, {1, 3}}, {1, 2}, 0);
  const BrierAccumulator::Score score = brier.Compute(1, 0);
  EXPECT_EQ(score.brier[0], 1);  // 2 * 1 - 1
  EXPECT_EQ(score.brier[1], 1);  // 2 * 0.5 - 0
  EXPECT_NEAR(score.brier_lm, 100, 1e-9);
}

TEST(BrierTest, NothingScoresNothing) {
  const BrierAccumulator::Score score = BrierAccumulator(4).Compute(1, 10);
  EXPECT_EQ(score.brier_lm, 0);
  EXPECT_EQ(score.positions, 0u);
}

// `documents` documents of five positions each; those of one document share their difficulty.
BrierAccumulator Experiment(uint64_t seed, uint64_t documents) {
  const PhiloxStream stream(seed, NoiseStream::kEvaluation, 0, 0);
  BrierAccumulator brier(4);
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
  const BrierAccumulator::Score one = brier.Compute(5, 200), same = brier.Compute(5, 200);
  const BrierAccumulator::Score other = brier.Compute(6, 200);
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
    const BrierAccumulator::Score score = Experiment(100 + experiment, 100).Compute(1, 200);
    hits += score.low <= truth && truth <= score.high;
  }
  EXPECT_GE(hits, 175);
  EXPECT_LT(hits, 200);
}

TEST(BrierTest, MergedPartsEqualTheWhole) {
  const PhiloxStream stream(4, NoiseStream::kEvaluation, 0, 0);
  BrierAccumulator whole(4), even(4), odd(4);
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
  EXPECT_EQ(even.Compute(1, 100).low, whole.Compute(1, 100).low);
  BrierAccumulator empty(4);
  ASSERT_TRUE(empty.Merge(whole.Serialise()).ok());
  EXPECT_EQ(empty.Serialise(), whole.Serialise());
}

TEST(BrierTest, RefusesWhatIsNotASerialisedAccumulator) {
  std::vector<double> good = Experiment(5, 3).Serialise();
  BrierAccumulator brier(4);
  const auto code = [&](const std::vector<double>& numbers) { return brier.Merge(numbers).code(); };
  EXPECT_EQ(code({}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(std::vector<double>(good.begin(), good.end() - 1)),
            absl::StatusCode::kInvalidArgument);
  std::vector<double> bad = good;
  bad[0] = 8;
  EXPECT_EQ(code(bad), absl::StatusCode::kInvalidArgument);
  bad = good;
  bad.back() = std::nan("");
  EXPECT_EQ(code(bad), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(brier.Serialise().size(), 2u);
  EXPECT_EQ(code(good), absl::StatusCode::kOk);
}

}  // namespace
}  // namespace halcyon::model
