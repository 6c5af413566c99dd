// What every implementation of Collectives must do, as functions that each rank runs. They use
// EXPECT only: a rank that went home early would leave the others waiting.
#ifndef HALCYON_TESTS_CLUSTER_COLLECTIVES_CONTRACT_H_
#define HALCYON_TESTS_CLUSTER_COLLECTIVES_CONTRACT_H_

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/philox.h"
#include "cluster/collectives.h"

namespace halcyon::cluster {

struct CollectivesContract {
  const char* name;
  void (*run)(Collectives&);
};

// Any rank knows every rank's values, so that each can compute what must come out.
inline std::vector<float> ValuesOfRank(int rank, size_t count) {
  std::vector<float> values(count);
  PhiloxStream(7, NoiseStream::kInitialisation, 0, rank).FillNormal(0, values);
  return values;
}

// Numbers of values a rank: none, one, and some that no piece of a call divides.
inline constexpr size_t kCounts[] = {0, 1, 5, 97, 1000};

inline void GathersInRankOrder(Collectives& gang) {
  for (const size_t count : kCounts) {
    std::vector<float> expected;
    for (int rank = 0; rank < gang.size(); ++rank) {
      const auto values = ValuesOfRank(rank, count);
      expected.insert(expected.end(), values.begin(), values.end());
    }
    std::vector<float> out(count * gang.size(), -1);
    EXPECT_TRUE(gang.AllGather(ValuesOfRank(gang.rank(), count), out).ok());
    EXPECT_EQ(out, expected) << count;
  }
}

// Bit for bit rank 0 + rank 1 + ..., in floats: normal values make any other order visible.
inline void ReducesAndScattersInRankOrder(Collectives& gang) {
  for (const size_t count : kCounts) {
    std::vector<float> expected(count);
    for (int rank = 0; rank < gang.size(); ++rank) {
      const auto values = ValuesOfRank(rank, count * gang.size());
      for (size_t i = 0; i < count; ++i) {
        const float value = values[gang.rank() * count + i];
        expected[i] = rank == 0 ? value : expected[i] + value;
      }
    }
    std::vector<float> out(count, -1);
    EXPECT_TRUE(gang.ReduceScatterSum(ValuesOfRank(gang.rank(), count * gang.size()), out).ok());
    EXPECT_EQ(out, expected) << count;
  }
}

// Thirds fill the mantissa of a double.
inline std::vector<double> ThirdsOfRank(int rank, size_t count) {
  std::vector<double> thirds;
  for (const float value : ValuesOfRank(rank, count)) thirds.push_back(value / 3.0);
  return thirds;
}

inline void ReducesInRankOrder(Collectives& gang) {
  for (const size_t count : kCounts) {
    std::vector<double> expected = ThirdsOfRank(0, count);
    for (int rank = 1; rank < gang.size(); ++rank) {
      const auto thirds = ThirdsOfRank(rank, count);
      for (size_t i = 0; i < count; ++i) expected[i] += thirds[i];
    }
    std::vector<double> values = ThirdsOfRank(gang.rank(), count);
    EXPECT_TRUE(gang.AllReduceSum(values).ok());
    EXPECT_EQ(values, expected) << count;
  }
}

inline std::string BytesOfRank(int rank) {
  // Lengths 0, 40, 80, ...; a zero byte and one that is no text are among them.
  std::string bytes(rank * 40, static_cast<char>('a' + rank));
  if (rank > 0) bytes[3] = '\0', bytes[7] = '\xff';
  return bytes;
}

inline void GathersBytesOfAnyLength(Collectives& gang) {
  std::vector<std::string> expected;
  for (int rank = 0; rank < gang.size(); ++rank) expected.push_back(BytesOfRank(rank));
  const auto all = gang.AllGatherBytes(BytesOfRank(gang.rank()));
  EXPECT_TRUE(all.ok());
  EXPECT_EQ(all.value_or(std::vector<std::string>()), expected);

  const auto nothing = gang.AllGatherBytes("");
  EXPECT_TRUE(nothing.ok());
  EXPECT_EQ(nothing.value_or(std::vector<std::string>()), std::vector<std::string>(gang.size()));
}

// One right after the other: a rank that is ahead must not touch what others still read.
inline void KeepsSuccessiveCallsApart(Collectives& gang) {
  for (int round = 0; round < 50; ++round) {
    const std::vector<float> own(3, static_cast<float>(100 * round + gang.rank()));
    std::vector<float> out(3 * gang.size());
    EXPECT_TRUE(gang.AllGather(own, out).ok());
    for (size_t i = 0; i < out.size(); ++i) {
      EXPECT_EQ(out[i], static_cast<float>(100 * round + i / 3));
    }
    std::vector<double> sum = {static_cast<double>(round)};
    EXPECT_TRUE(gang.AllReduceSum(sum).ok());
    EXPECT_EQ(sum[0], static_cast<double>(round) * gang.size());
    EXPECT_TRUE(gang.Barrier().ok());
  }
}

inline constexpr CollectivesContract kCollectivesContracts[] = {
    {"GathersInRankOrder", GathersInRankOrder},
    {"ReducesAndScattersInRankOrder", ReducesAndScattersInRankOrder},
    {"ReducesInRankOrder", ReducesInRankOrder},
    {"GathersBytesOfAnyLength", GathersBytesOfAnyLength},
    {"KeepsSuccessiveCallsApart", KeepsSuccessiveCallsApart},
};

}  // namespace halcyon::cluster

#endif  // HALCYON_TESTS_CLUSTER_COLLECTIVES_CONTRACT_H_
