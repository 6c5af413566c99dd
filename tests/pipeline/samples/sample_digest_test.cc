#include "pipeline/samples/sample_digest.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "base/philox.h"

namespace halcyon::pipeline {
namespace {

struct Sample {
  uint64_t place, item;
  std::vector<uint64_t> ids;
};

constexpr uint64_t kStep = 7;

std::string_view BytesOf(const std::vector<uint64_t>& ids) {
  return {reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(uint64_t)};
}

SampleDigest DigestOf(const std::vector<Sample>& samples) {
  SampleDigest digest;
  for (const Sample& sample : samples) {
    digest.Add(kStep, sample.place, sample.item);
    digest.AddText(kStep, sample.place, BytesOf(sample.ids));
    digest.AddLatents(kStep, sample.place, BytesOf({sample.item, 1}), BytesOf(sample.ids));
  }
  return digest;
}

void ExpectSame(const SampleDigest& a, const SampleDigest& b) {
  EXPECT_EQ(a.samples(), b.samples());
  EXPECT_EQ(a.items(), b.items());
  EXPECT_EQ(a.text(), b.text());
  EXPECT_EQ(a.latents(), b.latents());
  EXPECT_EQ(a.by_place(), b.by_place());
}

std::vector<Sample> ManySamples(uint64_t count) {
  const PhiloxStream random(1, NoiseStream::kEvaluation, 0, 0);
  std::vector<Sample> samples;
  for (uint64_t i = 0; i < count; ++i) {
    samples.push_back({i, random.Bits(2 * i), {i, random.Bits(2 * i + 1), 3}});
  }
  return samples;
}

// What python's xxhash gives: xxh3_128 of the numbers, packed as "<QQQ", "<QQQQ" and "<QQQQQQ",
// summed; then each times its place.
TEST(SampleDigest, IsAsDocumented) {
  const SampleDigest digest =
      DigestOf({{0, 1001, {1, 2, 3}}, {1, 5, {70000, 0, 9}}, {2, 40'000'000'000, {4, 5, 6}}});
  EXPECT_EQ(digest.samples(), 3u);
  EXPECT_EQ(storage::Hex128(digest.items()), "5211feddb06c77ef206c085d64e32714");
  EXPECT_EQ(storage::Hex128(digest.text()), "1e79286854f0377aa99b798ab8036113");
  EXPECT_EQ(storage::Hex128(digest.latents().value()), "5c5a29ddfdbec7c7897daa64664576d8");
  EXPECT_EQ(storage::Hex128(digest.by_place().items), "a13d4de9cb38280dc401384b0e85ba9c");
  EXPECT_EQ(storage::Hex128(digest.by_place().text), "6cefa7959bb92fcdbe42eecdf7baa779");
  EXPECT_EQ(storage::Hex128(digest.by_place().latents), "dc9a62ed182d3c55f08e1922a9a735a4");
}

TEST(SampleDigest, DependsOnNeitherOrderNorRanks) {
  const std::vector<Sample> samples = ManySamples(57);
  const SampleDigest whole = DigestOf(samples);
  ExpectSame(DigestOf({samples.rbegin(), samples.rend()}), whole);
  for (const size_t ranks : {1, 2, 5, 60}) {
    std::vector<std::vector<Sample>> of_rank(ranks);
    for (const Sample& sample : samples) of_rank[sample.place % ranks].push_back(sample);
    // As an all-reduce of doubles sums them.
    std::vector<double> sums(SampleDigest::kSummands, 0);
    SampleDigest added;
    for (const std::vector<Sample>& mine : of_rank) {
      const auto summands = DigestOf(mine).Summands();
      for (size_t i = 0; i < sums.size(); ++i) sums[i] += summands[i];
      added.Add(DigestOf(mine));
    }
    ExpectSame(SampleDigest::SumOf(sums), whole);
    ExpectSame(added, whole);
  }
}

TEST(SampleDigest, SumsOverTwoMillionRanksAreExact) {
  const storage::Digest128 all_ones = {~uint64_t{0}, ~uint64_t{0}};
  const auto summands = SampleDigest(3, all_ones, all_ones).Summands();
  std::vector<double> sums(summands.begin(), summands.end());
  for (double& sum : sums) sum *= 1 << 21;
  // 2^21 times -1.
  const storage::Digest128 expected = {~uint64_t{0}, -(uint64_t{1} << 21)};
  ExpectSame(SampleDigest::SumOf(sums), SampleDigest(3 << 21, expected, expected));
}

TEST(SampleDigest, NoticesWhatIsNotAsItShouldBe) {
  const std::vector<Sample> samples = ManySamples(8);
  const SampleDigest whole = DigestOf(samples);
  const auto changed = [&](auto change) {
    std::vector<Sample> other = samples;
    change(other);
    return DigestOf(other);
  };
  const SampleDigest dropped = changed([](auto& all) { all.erase(all.begin() + 3); });
  EXPECT_NE(dropped.items(), whole.items());
  EXPECT_NE(dropped.samples(), whole.samples());
  EXPECT_NE(dropped.text(), whole.text());
  // In place of another, so that their number is right.
  const SampleDigest doubled = changed([](auto& all) { all[3] = all[4]; });
  EXPECT_EQ(doubled.samples(), whole.samples());
  EXPECT_NE(doubled.items(), whole.items());
  const SampleDigest exchanged = changed([](auto& all) { std::swap(all[3].item, all[4].item); });
  EXPECT_NE(exchanged.items(), whole.items());
  const SampleDigest wrong = changed([](auto& all) { ++all[3].item; });
  EXPECT_NE(wrong.items(), whole.items());
  EXPECT_EQ(wrong.text(), whole.text());
  const SampleDigest other_text = changed([](auto& all) { ++all[3].ids[1]; });
  EXPECT_EQ(other_text.items(), whole.items());
  EXPECT_NE(other_text.text(), whole.text());
  SampleDigest other_step;
  for (const Sample& sample : samples) other_step.Add(kStep + 1, sample.place, sample.item);
  EXPECT_NE(other_step.items(), whole.items());
}

TEST(SampleDigest, LatentsAreOfAllSamplesOrOfNone) {
  SampleDigest digest = DigestOf(ManySamples(3));
  EXPECT_TRUE(digest.Recorded(1).latents.has_value());
  digest.Add(kStep, 3, 77);
  EXPECT_FALSE(digest.Recorded(1).latents.has_value());
  EXPECT_FALSE(SampleDigest().latents().has_value());
}

TEST(SampleDigest, TwoSumsTellTheSampleThatDiffers) {
  constexpr uint64_t kBatch = 50;
  const std::vector<Sample> samples = ManySamples(kBatch);
  const SampleDigest whole = DigestOf(samples);
  const SumAndByPlace expected = {whole.items(), whole.by_place().items};
  EXPECT_EQ(OnlyDifferentPlace(expected, expected, kBatch), std::nullopt);
  for (uint64_t place = 0; place < kBatch; ++place) {
    std::vector<Sample> others = samples;
    others[place].item = 123;
    SampleDigest other = DigestOf(others);
    const SumAndByPlace found = {other.items(), other.by_place().items};
    EXPECT_EQ(OnlyDifferentPlace(expected, found, kBatch), place);
    EXPECT_EQ(ItemInstead(kStep, place, samples[place].item, expected.sum, found.sum, 1000), 123u);
    EXPECT_EQ(ItemInstead(kStep, place, samples[place].item, expected.sum, found.sum, 123),
              std::nullopt);
    others[(place + 1) % kBatch].item = 124;
    other = DigestOf(others);
    EXPECT_EQ(OnlyDifferentPlace(expected, {other.items(), other.by_place().items}, kBatch),
              std::nullopt);
  }
}

}  // namespace
}  // namespace halcyon::pipeline
