#include "worker/scoring/token_classes.h"

#include <map>

#include "tests/pipeline/cache_fixture.h"

namespace halcyon::worker {
namespace {

using ::testing::ElementsAre;

TEST(TokenClassesTest, ATokenIsOfOneClassByItsBytes) {
  const std::map<std::string, std::string> expected = {{" the", "words"},
                                                       {"Don't", "words"},
                                                       {"\n\nA", "words"},
                                                       {"\xC3\xA9", "words"},
                                                       {" \xE4\xB8\xAD", "words"},
                                                       {"\xF0\x9F\x98\x80", "words"},
                                                       {"7", "digits"},
                                                       {" 1990", "digits"},
                                                       {"3.", "digits"},
                                                       {"v2", "digits"},
                                                       {".", "punctuation"},
                                                       {" (", "punctuation"},
                                                       {"...\n", "punctuation"},
                                                       {"~", "punctuation"},
                                                       {"\xE2\x80\x94", "punctuation"},
                                                       {"\xE2\x80\x9C", "punctuation"},
                                                       {"\xC2\xA7", "punctuation"},
                                                       {"\xE3\x80\x82", "punctuation"},
                                                       {" ", "whitespace"},
                                                       {"\r\n\t", "whitespace"},
                                                       {"\xC2\xA0", "whitespace"},
                                                       {"\xE3\x80\x80", "whitespace"},
                                                       {"\xE2\x80\xA8", "whitespace"},
                                                       {"\xC3", "other"},
                                                       {"\xA9", "other"},
                                                       {"a\xFF", "other"},
                                                       {std::string(1, '\0'), "other"},
                                                       {" \x01", "other"},
                                                       {"\x7F", "other"},
                                                       {"", "other"}};
  for (const auto& [bytes, name] : expected) {
    EXPECT_EQ(TokenClassName(ClassOfBytes(bytes)), name) << ::testing::PrintToString(bytes);
  }
}

TEST(TokenClassesTest, RareTypesMakeUpAtMostOnePercent) {
  // 1000 tokens: 2 + 2 + 5 fit into ten, 2 + 2 + 4 + 4 do not, and the last two stay together.
  std::vector<uint64_t> counts = {0, 2, 2, 5, 100, 891};
  EXPECT_THAT(RareTokens(counts), ElementsAre(true, true, true, true, false, false));
  counts = {0, 2, 2, 4, 4, 988};
  EXPECT_THAT(RareTokens(counts), ElementsAre(true, true, true, false, false, false));
}

TEST(TokenClassesTest, WhatOccursOnceIsRareHoweverMuchItIs) {
  EXPECT_THAT(RareTokens(std::vector<uint64_t>{1, 1, 1, 2}), ElementsAre(true, true, true, false));
  EXPECT_THAT(RareTokens(std::vector<uint64_t>{0, 0}), ElementsAre(true, true));
}

class CountTokensTest : public pipeline::CachedDataTest {};

TEST_F(CountTokensTest, CountsTrainingTextWithoutPadding) {
  WriteTokens({{{{{1, 2, 1}, {3}}, {{4, 4}}}}, {{{{1}}, {}}}});
  const auto packing = Pack(4);
  const auto counts = CountTokens(*packing, 1002);
  ASSERT_TRUE(counts.ok());
  EXPECT_EQ((*counts)[1], 3u);
  EXPECT_EQ((*counts)[2], 1u);
  EXPECT_EQ((*counts)[3], 1u);
  EXPECT_EQ((*counts)[4], 0u);
  EXPECT_EQ((*counts)[pipeline::kEnd], 3u);
  EXPECT_EQ((*counts)[pipeline::kPad], 0u);
  EXPECT_EQ(CountTokens(*packing, 3).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(CountTokensTest, TakesHeldOutTextWhenNothingIsTrainedOn) {
  WriteTokens({{{{}, {{4, 4}}}}});
  const auto counts = CountTokens(*Pack(2), 1002);
  ASSERT_TRUE(counts.ok());
  EXPECT_EQ((*counts)[4], 2u);
}

// More blocks than are counted: about four million of the tokens, from all over the text.
TEST_F(CountTokensTest, LongTextIsCountedInPlaces) {
  std::vector<pipeline::Document> documents;
  for (uint32_t i = 0; i < 100; ++i) documents.emplace_back(60000, i);
  WriteTokens({{{documents, {}}}});
  const auto counts = CountTokens(*Pack(1), 1002);
  ASSERT_TRUE(counts.ok());
  uint64_t total = 0;
  for (const uint64_t count : *counts) total += count;
  EXPECT_NEAR(static_cast<double>(total), 4 << 20, 4096);
  for (uint32_t i = 0; i < 100; ++i) EXPECT_GT((*counts)[i], 30000u) << i;
}

}  // namespace
}  // namespace halcyon::worker
