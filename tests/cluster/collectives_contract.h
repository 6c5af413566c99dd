// What every implementation of Collectives must do, as functions that each rank runs. They use
// EXPECT only: a rank that went home early would leave the others waiting.
#ifndef HALCYON_TESTS_CLUSTER_COLLECTIVES_CONTRACT_H_
#define HALCYON_TESTS_CLUSTER_COLLECTIVES_CONTRACT_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <utility>
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

inline absl::Status Gather(Collectives& gang, Group group, const std::vector<float>& in,
                           std::vector<float>& out) {
  return gang.AllGather(group, std::span(in), std::span(out), "values").Wait();
}

inline absl::Status ReduceScatter(Collectives& gang, Group group, const std::vector<float>& in,
                                  std::vector<float>& out) {
  return gang.ReduceScatterSum(group, std::span(in), std::span(out), "values").Wait();
}

// How far a sum may be from that in rank order. 0: the same bits, which all collectives on host
// memory owe. A test program of NCCL, whose order is its own, sets it first thing.
inline float sum_error_max = 0;

inline void ExpectSums(const std::vector<float>& found, const std::vector<float>& expected) {
  if (sum_error_max == 0) {
    EXPECT_EQ(found, expected) << expected.size();
    return;
  }
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], sum_error_max) << i;
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
    const auto own = ValuesOfRank(gang.rank(), count);
    EXPECT_TRUE(Gather(gang, Group::kAll, own, out).ok());
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
    const auto own = ValuesOfRank(gang.rank(), count * gang.size());
    EXPECT_TRUE(ReduceScatter(gang, Group::kAll, own, out).ok());
    ExpectSums(out, expected);
  }
}

// The upper halves of floats, rounded towards zero: enough for a test.
inline std::vector<uint16_t> Halves(const std::vector<float>& values) {
  std::vector<uint16_t> halves;
  for (const float value : values) {
    halves.push_back(static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16));
  }
  return halves;
}

// Values of bfloat16 are summed in float32, in rank order.
inline void SumsBFloat16InFloat32(Collectives& gang) {
  for (const size_t count : kCounts) {
    std::vector<float> expected(count);
    for (int rank = 0; rank < gang.size(); ++rank) {
      const auto halves = Halves(ValuesOfRank(rank, count * gang.size()));
      for (size_t i = 0; i < count; ++i) {
        const float value = std::bit_cast<float>(uint32_t{halves[gang.rank() * count + i]} << 16);
        expected[i] = rank == 0 ? value : expected[i] + value;
      }
    }
    std::vector<float> out(count, -1);
    const auto own = Halves(ValuesOfRank(gang.rank(), count * gang.size()));
    const ConstBuffer in(own.data(), own.size(), ElementType::kBFloat16, Device{});
    EXPECT_TRUE(gang.ReduceScatterSum(Group::kAll, in, std::span(out), "halves").Wait().ok());
    ExpectSums(out, expected);

    std::vector<uint16_t> gathered(own.size() * gang.size());
    const Buffer all(gathered.data(), gathered.size(), ElementType::kBFloat16, Device{});
    EXPECT_TRUE(gang.AllGather(Group::kAll, in, all, "halves").Wait().ok());
    for (int rank = 0; rank < gang.size(); ++rank) {
      const auto theirs = Halves(ValuesOfRank(rank, count * gang.size()));
      EXPECT_TRUE(std::equal(theirs.begin(), theirs.end(), gathered.begin() + rank * own.size()));
    }
  }
}

// The groups of a node and of equal places partition the gang.
inline void GroupsFollowTheNodes(Collectives& gang) {
  const int local = gang.rank_in(Group::kNode), per_node = gang.size_of(Group::kNode);
  std::vector<float> own = {static_cast<float>(gang.rank())}, node(per_node);
  EXPECT_TRUE(Gather(gang, Group::kNode, own, node).ok());
  for (int i = 0; i < per_node; ++i) {
    EXPECT_EQ(node[i], static_cast<float>(gang.rank() - local + i));
  }
  const int nodes = gang.size_of(Group::kAcrossNodes);
  if (nodes == 0) return;
  EXPECT_EQ(nodes * per_node, gang.size());
  std::vector<float> places(nodes);
  EXPECT_TRUE(Gather(gang, Group::kAcrossNodes, own, places).ok());
  for (int i = 0; i < nodes; ++i) {
    EXPECT_EQ(places[i], static_cast<float>(i * per_node + local));
  }
  std::vector<float> parts(nodes, static_cast<float>(gang.rank())), sum(1);
  EXPECT_TRUE(ReduceScatter(gang, Group::kAcrossNodes, parts, sum).ok());
  float expected = 0;
  for (const float place : places) expected += place;
  EXPECT_EQ(sum[0], expected);
}

// Started together, waited for in the opposite order; each has its own buffers.
inline void RunsWhatWasStartedInOrder(Collectives& gang) {
  constexpr size_t kCount = 97;
  constexpr int kStarted = 100;  // more than may be under way at once
  std::vector<std::vector<float>> in, out;
  std::vector<Pending> pending;
  for (int i = 0; i < kStarted; ++i) {
    in.push_back(ValuesOfRank(gang.rank() + i, kCount));
    out.emplace_back(kCount * gang.size(), -1.0f);
  }
  const uint64_t before = gang.order_digest();
  for (int i = 0; i < kStarted; ++i) {
    pending.push_back(gang.AllGather(Group::kAll, std::span(std::as_const(in[i])),
                                     std::span(out[i]), "array " + std::to_string(i)));
  }
  if (gang.size() > 1) {
    EXPECT_NE(gang.order_digest(), before);
  }
  for (int i = kStarted - 1; i >= 0; --i) {
    EXPECT_TRUE(pending[i].Wait().ok());
    EXPECT_TRUE(pending[i].Wait().ok()) << "may be called again";
    for (int rank = 0; rank < gang.size(); ++rank) {
      const auto theirs = ValuesOfRank(rank + i, kCount);
      EXPECT_TRUE(std::equal(theirs.begin(), theirs.end(), out[i].begin() + rank * kCount));
    }
  }
  std::vector<double> digest = {static_cast<double>(gang.order_digest() >> 32)};
  const double own = digest[0];
  EXPECT_TRUE(gang.AllReduceSum(digest).ok());
  EXPECT_EQ(digest[0], own * gang.size()) << "equal on all ranks";
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
    EXPECT_TRUE(Gather(gang, Group::kAll, own, out).ok());
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
    {"SumsBFloat16InFloat32", SumsBFloat16InFloat32},
    {"GroupsFollowTheNodes", GroupsFollowTheNodes},
    {"RunsWhatWasStartedInOrder", RunsWhatWasStartedInOrder},
    {"ReducesInRankOrder", ReducesInRankOrder},
    {"GathersBytesOfAnyLength", GathersBytesOfAnyLength},
    {"KeepsSuccessiveCallsApart", KeepsSuccessiveCallsApart},
};

}  // namespace halcyon::cluster

#endif  // HALCYON_TESTS_CLUSTER_COLLECTIVES_CONTRACT_H_
