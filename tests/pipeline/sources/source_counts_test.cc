#include "pipeline/sources/source_counts.h"

#include "tests/pipeline/cache_fixture.h"

namespace halcyon::pipeline {
namespace {

using ::testing::IsEmpty;

class SourceCountsTest : public CachedDataTest {
 protected:
  SourceCountsTest() {
    data_.source = {{"a", {"/a1", "/a2"}, 3}, {"b", {"/b"}, 1}};
    data_.heldout_sources = {"/h"};
    // Shards of /a1: two, of /a2: none, of /b and /h: one each.
    WriteTokens({{{{{1, 2}, {3}}, {{4}}}},
                 {{{{5, 6, 7}}, {}}},
                 {{{{8}}, {{9, 10}, {11}}}},
                 {{{}, {{12, 13, 14, 15}}}}});
  }
  jobs::DataSpec data_;
};

TEST_F(SourceCountsTest, EachSourceHasWhatItsShardsHave) {
  const auto counts = CountSources(data_, FileShards({0, std::nullopt, 2, 3}, 4), tokens_->cache());
  ASSERT_EQ(counts.size(), 3u);
  const auto expect = [](const SourceCounts& one, const std::string& name,
                         std::array<uint64_t, 4> expected, std::optional<double> share) {
    EXPECT_EQ(one.name, name);
    EXPECT_EQ((std::array{one.train_documents, one.train_tokens, one.heldout_documents,
                          one.heldout_tokens}),
              expected)
        << name;
    EXPECT_EQ(one.share, share) << name;
  };
  expect(counts[0], "a", {3, 6, 1, 1}, 0.75);
  expect(counts[1], "b", {1, 1, 2, 3}, 0.25);
  expect(counts[2], "heldout_sources", {0, 0, 1, 4}, std::nullopt);
}

TEST_F(SourceCountsTest, TokensOfOtherFilesAreNotCounted) {
  EXPECT_THAT(CountSources(data_, {}, tokens_->cache()), IsEmpty());
  EXPECT_THAT(CountSources(data_, FileShards({0, std::nullopt, 2}, 3), tokens_->cache()),
              IsEmpty());
  EXPECT_THAT(CountSources(data_, FileShards({0, std::nullopt, 2, 3}, 5), tokens_->cache()),
              IsEmpty());
  data_.heldout_sources.clear();
  data_.source.pop_back();
  EXPECT_THAT(CountSources(data_, FileShards({0, 2}, 4), tokens_->cache()), IsEmpty())
      << "one source is all";
}

}  // namespace
}  // namespace halcyon::pipeline
