#include "pipeline/samples/mixture_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "jobs/mixture.h"

namespace halcyon::pipeline {
namespace {

using ::testing::ElementsAre;

constexpr uint64_t kBlock = jobs::kMixtureBlock;

size_t PartOf(const MixtureOrder& order, uint64_t item) {
  for (size_t i = 0; i < order.parts().size(); ++i) {
    const MixturePart& part = order.parts()[i];
    if (item >= part.begin && item < part.begin + part.items) return i;
  }
  ADD_FAILURE() << "item " << item << " is of no part";
  return 0;
}

std::vector<uint64_t> Counted(const MixtureOrder& order, uint64_t begin, uint64_t end) {
  std::vector<uint64_t> counts(order.parts().size());
  for (uint64_t sample = begin; sample < end; ++sample) {
    ++counts[PartOf(order, order.ItemAt(sample))];
  }
  return counts;
}

TEST(MixtureOrder, OnePartIsThePlainOrder) {
  const MixtureOrder order(5, {{"all", 1, 0, 1000}});
  const SampleOrder plain(5, 1000);
  for (uint64_t sample = 0; sample < 3000; ++sample) {
    ASSERT_EQ(order.ItemAt(sample), plain.ItemAt(sample));
  }
  EXPECT_THAT(order.SamplesOfParts(2345), ElementsAre(2345));
}

TEST(MixtureOrder, EachBlockHasTheSharesExactly) {
  // Not in the order of their sizes, with items that no part has between them.
  const MixtureOrder order(5,
                           {{"a", 0.7, 0, 100}, {"b", 0.25, 150, 90'000}, {"c", 0.05, 100'000, 7}});
  for (const uint64_t block : {0, 1, 2, 1000}) {
    EXPECT_THAT(Counted(order, block * kBlock, (block + 1) * kBlock), ElementsAre(7000, 2500, 500));
  }
}

TEST(MixtureOrder, SharesAreRoundedByTheLargestRemainders) {
  const MixtureOrder thirds(5, {{"a", 1.0 / 3, 0, 9}, {"b", 1.0 / 3, 9, 9}, {"c", 1.0 / 3, 18, 9}});
  EXPECT_THAT(thirds.SamplesOfParts(kBlock), ElementsAre(3334, 3333, 3333));
  // Rounding errors may leave a share a little below the least.
  const MixtureOrder least(5, {{"a", 0.99985, 0, 9}, {"b", 0.00009, 9, 9}, {"c", 0.00006, 18, 9}});
  EXPECT_THAT(least.SamplesOfParts(kBlock), ElementsAre(9998, 1, 1));
}

TEST(MixtureOrder, APartGoesThroughItsItemsBeforeAnyComesAgain) {
  const MixtureOrder order(5, {{"a", 0.6, 0, 40'000}, {"b", 0.4, 40'000, 1000}});
  // Ten blocks: 40,000 samples of b are 40 passes, 60,000 of a are one and a half.
  std::map<uint64_t, uint64_t> seen;
  for (uint64_t sample = 0; sample < 10 * kBlock; ++sample) ++seen[order.ItemAt(sample)];
  EXPECT_EQ(seen.size(), 41'000u);
  for (const auto& [item, times] : seen) {
    if (item < 40'000) {
      EXPECT_TRUE(times == 1 || times == 2) << item;
    } else {
      EXPECT_EQ(times, 40u) << item;
    }
  }
}

TEST(MixtureOrder, ItemsOfAPartAreUsedAlikeAfterAnyNumberOfSamples) {
  const MixtureOrder order(7, {{"a", 0.7, 0, 900}, {"b", 0.3, 900, 70}});
  std::vector<uint64_t> uses(970);
  for (uint64_t sample = 0; sample < 2 * kBlock + 500; ++sample) {
    ++uses[order.ItemAt(sample)];
    if (sample % 97 != 0) continue;
    for (const auto& [begin, end] : {std::pair(0, 900), std::pair(900, 970)}) {
      const auto [least, most] = std::minmax_element(uses.begin() + begin, uses.begin() + end);
      ASSERT_LE(*most, *least + 1) << "after sample " << sample;
    }
  }
}

TEST(MixtureOrder, CountsAreThoseOfTheSamples) {
  const MixtureOrder order(8, {{"a", 0.9, 0, 50}, {"b", 0.1, 50, 3000}});
  for (const uint64_t samples : {uint64_t{0}, uint64_t{1}, kBlock - 1, kBlock, 2 * kBlock + 77}) {
    EXPECT_EQ(order.SamplesOfParts(samples), Counted(order, 0, samples)) << samples;
  }
}

// A run of one source would be a step without the others.
TEST(MixtureOrder, SourcesAreMixedWithinABlockAndDifferentlyInEach) {
  const MixtureOrder order(5, {{"a", 0.5, 0, 100}, {"b", 0.5, 100, 100}});
  for (uint64_t begin = 0; begin < kBlock; begin += 500) {
    const uint64_t of_a = Counted(order, begin, begin + 500)[0];
    // Six standard deviations of the number of places that a part has in 500 of a block.
    EXPECT_NEAR(static_cast<double>(of_a), 250, 66) << begin;
  }
  std::set<std::vector<size_t>> beginnings;
  for (const uint64_t seed : {1, 2}) {
    const MixtureOrder other(seed, order.parts());
    for (uint64_t block = 0; block < 3; ++block) {
      std::vector<size_t> parts;
      for (uint64_t i = 0; i < 64; ++i) {
        parts.push_back(PartOf(other, other.ItemAt(block * kBlock + i)));
      }
      beginnings.insert(parts);
    }
  }
  EXPECT_EQ(beginnings.size(), 6u);
}

// A change would give running jobs other data after a restart.
TEST(MixtureOrder, IsPinned) {
  const MixtureOrder order(5, {{"a", 0.75, 0, 1000}, {"b", 0.25, 2000, 1000}});
  std::vector<uint64_t> items;
  for (const uint64_t sample : {0, 1, 2, 3, 4, 5, 9'999, 10'000, 123'456'789}) {
    items.push_back(order.ItemAt(sample));
  }
  EXPECT_THAT(items, ElementsAre(259, 320, 876, 184, 2498, 409, 460, 309, 617));
}

TEST(MixtureOrder, PartsOfOneSizeAreInOrdersOfTheirOwn) {
  const MixtureOrder order(5, {{"a", 0.5, 0, 100}, {"b", 0.5, 100, 100}});
  std::vector<uint64_t> of_a, of_b;
  for (uint64_t sample = 0; sample < kBlock; ++sample) {
    const uint64_t item = order.ItemAt(sample);
    (item < 100 ? of_a : of_b).push_back(item % 100);
  }
  EXPECT_NE(of_a, of_b);
}

}  // namespace
}  // namespace halcyon::pipeline
