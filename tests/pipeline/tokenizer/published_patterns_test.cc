#include "pipeline/tokenizer/matchers/published_patterns.h"

#include <gtest/gtest.h>

#include "base/philox.h"
#include "tests/fuzz/matcher_comparison.h"
#include "tests/pipeline/tokenizer/naive_bpe.h"

namespace halcyon::pipeline {
namespace {

const testing::MatcherComparison& Comparison() {
  static const auto* const comparison = new testing::MatcherComparison;
  return *comparison;
}

TEST(PublishedPatterns, NamedOnesHaveMatchers) {
  for (const char* name : {"gpt2", "llama3", "cl100k", "o200k"}) {
    EXPECT_NE(MatcherOf(*PatternByName(name), RegexDialect::kOniguruma), nullptr) << name;
  }
  EXPECT_EQ(MatcherOf("\\p{L}+", RegexDialect::kOniguruma), nullptr);
}

// In Ruby's syntax {1,3}+ is a repetition of {1,3}, and $ the end of any line.
TEST(PublishedPatterns, TheSameTextInAnotherSyntaxIsNotRecognised) {
  EXPECT_NE(MatcherOf(published::kTiktokenCl100k, RegexDialect::kFancyRegex), nullptr);
  EXPECT_EQ(MatcherOf(published::kTiktokenCl100k, RegexDialect::kOniguruma), nullptr);
  EXPECT_EQ(MatcherOf(published::kTiktokenR50k, RegexDialect::kOniguruma), nullptr);
}

TEST(PublishedPatterns, MatchersEqualPcre2OnProse) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const std::string text = RandomProse(seed, 300);
    ASSERT_EQ(Comparison().Difference(text), "") << ::testing::PrintToString(text);
  }
}

TEST(PublishedPatterns, MatchersEqualPcre2OnEveryCodePoint) {
  for (char32_t point = 0; point < kCodePoints; ++point) {
    if (point >= 0xD800 && point <= 0xDFFF) continue;
    std::string text = "a";
    AppendUtf8(point, &text);
    text += "A ";
    AppendUtf8(point, &text);
    AppendUtf8(point, &text);
    text += "1";
    ASSERT_EQ(Comparison().Difference(text), "") << std::hex << static_cast<uint32_t>(point);
  }
}

TEST(PublishedPatterns, MatchersEqualPcre2OnRandomCharactersOfEachClass) {
  const testing::CharacterPool pool;
  for (uint64_t seed = 0; seed < 40000; ++seed) {
    const PhiloxStream stream(seed, NoiseStream::kEvaluation, 7, 0);
    std::string bytes;
    const uint64_t size = testing::CharacterPool::kBytesACharacter * (1 + stream.Below(0, 16));
    for (uint64_t i = 1; i <= size; ++i) bytes += static_cast<char>(stream.Bits(i));
    const std::string text = pool.TextOf(bytes);
    ASSERT_EQ(Comparison().Difference(text), "") << ::testing::PrintToString(text);
  }
}

}  // namespace
}  // namespace halcyon::pipeline
