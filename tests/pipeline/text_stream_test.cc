#include "pipeline/text_stream.h"

#include <gmock/gmock.h>

#include "tests/pipeline/tokenizer/naive_bpe.h"

namespace halcyon::pipeline {
namespace {

std::shared_ptr<const Tokenizer> DataTokenizer(const std::string& name) {
  const auto tokenizer =
      Tokenizer::Load(std::string(HALCYON_SOURCE_DIR) + "/tests/pipeline/data/tokenizers/" + name);
  HALCYON_CHECK(tokenizer.ok());
  return *tokenizer;
}

// When each id comes alone.
std::string Streamed(const Tokenizer& tokenizer, std::span<const uint32_t> ids) {
  TextStream stream(&tokenizer, {});
  std::string text;
  for (size_t i = 0; i < ids.size(); ++i) text += *stream.Add(ids.subspan(i, 1));
  return text + *stream.Finish();
}

TEST(TextStream, IsTheTextOfAllIdsWithEveryKindOfTokenizer) {
  const std::string text = "the cafe was uncolored, and \u00e9\u4f60 it rained in fib(23)";
  for (const char* name : {"hf_gpt2.json", "hf_llama2.json", "hf_llama3.json", "hf_gemma.json",
                           "hf_bert_uncased.json", "sp_unigram_bytes.model", "sp_bpe.model"}) {
    const auto tokenizer = DataTokenizer(name);
    const std::vector<uint32_t> ids = Encode(tokenizer, text);
    const std::string whole = *tokenizer->Decode(ids);
    for (size_t before = 0; before <= ids.size(); ++before) {
      const std::span<const uint32_t> first(ids.data(), before);
      const auto rest = DecodeBehind(*tokenizer, first, std::span(ids).subspan(before));
      ASSERT_TRUE(rest.ok()) << rest.status();
      EXPECT_THAT(whole, ::testing::EndsWith(*rest)) << name;
    }
    EXPECT_EQ(Streamed(*tokenizer, ids), whole) << name;
  }
}

TEST(TextStream, ACharacterIsShownWhenItIsWhole) {
  const auto tokenizer = DataTokenizer("hf_gpt2.json");
  const std::vector<uint32_t> ids = Encode(tokenizer, "\U0001F9FF");
  ASSERT_GT(ids.size(), 1u);
  TextStream stream(tokenizer.get(), {});
  for (size_t i = 0; i + 1 < ids.size(); ++i) {
    EXPECT_EQ(*stream.Add(std::span(ids).subspan(i, 1)), "");
  }
  EXPECT_EQ(*stream.Add(std::span(ids).last(1)), "\U0001F9FF");
  EXPECT_EQ(*stream.Finish(), "");
}

TEST(TextStream, WhatIsNoCharacterDoesNotWaitForEver) {
  const auto tokenizer = DataTokenizer("hf_gpt2.json");
  const std::vector<uint32_t> ids = Encode(tokenizer, "\U0001F9FF");
  TextStream stream(tokenizer.get(), {});
  std::string text;
  for (int i = 0; i < 20; ++i) text += *stream.Add(std::span(ids).first(1));
  EXPECT_FALSE(text.empty());
  EXPECT_EQ(text + *stream.Finish(), *tokenizer->Decode(std::vector<uint32_t>(20, ids[0])));
}

TEST(TextStream, AnUnknownIdIsAnError) {
  const auto tokenizer = DataTokenizer("hf_gpt2.json");
  TextStream stream(tokenizer.get(), {});
  EXPECT_TRUE(
      absl::IsInvalidArgument(stream.Add(std::vector<uint32_t>{tokenizer->vocab_size()}).status()));
}

}  // namespace
}  // namespace halcyon::pipeline
