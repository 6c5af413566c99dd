#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/env.h"
#include "tests/pipeline/tokenizer/naive_bpe.h"

namespace halcyon::pipeline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::vector<uint32_t>> MergesOf(const Tokenizer& tokenizer) {
  std::vector<std::vector<uint32_t>> merges;
  for (const auto& [left, right, result] : VocabularyOf(tokenizer).merges) {
    merges.push_back({left, right, result});
  }
  return merges;
}

TEST(BpeTrainer, LearnsTheMostFrequentPairFirst) {
  // "ab" three times, then "abc" twice; " a", the rest and all larger pairs occur once or lose.
  const auto tokenizer = TrainOn({"ab", "abc", "abc"}, 1000);
  EXPECT_THAT(MergesOf(*tokenizer),
              ElementsAre(ElementsAre('a', 'b', 256), ElementsAre(256, 'c', 257)));
  EXPECT_EQ(tokenizer->vocab_size(), 256u + 2 + 2);
  EXPECT_EQ(tokenizer->Bytes(257), "abc");
  EXPECT_EQ(tokenizer->end_of_text(), 258u);
  EXPECT_EQ(tokenizer->padding(), 259u);
  EXPECT_EQ(tokenizer->Bytes(258), kEndOfText);
  EXPECT_EQ(tokenizer->Bytes(259), kPadding);
}

// Of bytes the one whose character comes first: those of the space and of controls are the last.
TEST(BpeTrainer, TakesTheSmallerPairOnATie) {
  EXPECT_THAT(MergesOf(*TrainOn({"zy", "zy", "ax", "ax", "ay", "ay"}, 259)),
              ElementsAre(ElementsAre('a', 'x', 256)));
  EXPECT_THAT(MergesOf(*TrainOn({" x", " x", "zy", "zy"}, 259)),
              ElementsAre(ElementsAre('z', 'y', 256)));
}

// data/tokenizers/make_trained.py wrote what Hugging Face's trainer learns from the same texts.
TEST(BpeTrainer, LearnsTheMergesOfTheReference) {
  const std::string folder = std::string(HALCYON_SOURCE_DIR) + "/tests/pipeline/data/tokenizers/";
  const auto texts = Env::Posix()->ReadFile(folder + "texts.json");
  const auto expected = Env::Posix()->ReadFile(folder + "hf_trained.merges");
  ASSERT_TRUE(texts.ok() && expected.ok());
  const auto merges_wanted =
      static_cast<uint32_t>(std::count(expected->begin(), expected->end(), '\n'));
  ASSERT_GT(merges_wanted, 700u);
  std::vector<std::string> documents;
  for (const auto& text : nlohmann::json::parse(*texts)) {
    std::string document;
    for (int i = 0; i < text["count"]; ++i) document += text["unit"].get<std::string>();
    if (document.size() <= 4000) documents.push_back(document);
  }
  for (const size_t threads : {1, 2, 3}) {
    const auto tokenizer = TrainOn(documents, 256 + merges_wanted + 2, "gpt2", threads);
    std::string merges;
    for (const auto& merge : VocabularyOf(*tokenizer).merges) {
      merges += SpellBytes(tokenizer->Bytes(merge.left)) + " " +
                SpellBytes(tokenizer->Bytes(merge.right)) + "\n";
    }
    EXPECT_EQ(merges, *expected) << threads << " threads";
  }
}

TEST(BpeTrainer, SaysWhatItLeftOut) {
  auto trainer = *BpeTrainer::Create({.vocab_size = 300, .words_bytes_max = 1100, .threads = 2});
  trainer->Add("the the the river river and the water over a long wooden bridge");
  const auto tokenizer = trainer->Train();
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  // " the" and " river" stay: the others occur once, and take more than 1100 bytes with them.
  const DroppedWords dropped = trainer->dropped();
  EXPECT_EQ(dropped.words, 8u);
  EXPECT_EQ(dropped.occurrences, 8u);
  EXPECT_EQ(dropped.short_max, 1u);
  EXPECT_THAT(WarningOf(dropped), HasSubstr("8 times a rare word was left out"));
  EXPECT_EQ(FactsOf(dropped).at("words_left_out"), 8u);
  EXPECT_EQ(WarningOf({}), "");
  EXPECT_TRUE(FactsOf({}).empty());
}

TEST(BpeTrainer, EqualsTheDefinition) {
  for (const char* pattern : {"gpt2", "llama3", "cl100k", "o200k"}) {
    for (uint64_t seed = 0; seed < 10; ++seed) {
      std::vector<std::string> texts, pieces;
      for (uint64_t i = 0; i < 3; ++i) {
        texts.push_back(RandomProse(3 * seed + i, 150));
        for (auto& piece : PiecesOf(*PatternByName(pattern), texts.back())) pieces.push_back(piece);
      }
      for (const uint32_t vocab_size : {258, 262, 300, 1000}) {
        ASSERT_EQ(MergesOf(*TrainOn(texts, vocab_size, pattern)),
                  NaiveTrain(pieces, vocab_size - 2))
            << pattern << ", seed " << seed << ", vocabulary " << vocab_size;
      }
    }
  }
}

// Runs overlap with themselves, and different merges can give the same bytes.
TEST(BpeTrainer, EqualsTheDefinitionOnRuns) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const PhiloxStream stream(seed, NoiseStream::kEvaluation, 2, 0);
    std::vector<std::string> texts;
    for (uint64_t i = 0; i < 8; ++i) {
      std::string text;
      for (uint64_t k = 0; k < 12; ++k) {
        text.append(1 + stream.Below(100 * i + k, 9),
                    stream.Bits(100 * i + k + 5000) % 3 ? 'a' : 'b');
      }
      texts.push_back(text);
    }
    ASSERT_EQ(MergesOf(*TrainOn(texts, 400)), NaiveTrain(texts, 398)) << "seed " << seed;
  }
}

TEST(BpeTrainer, RefusesWhatCannotBeTrained) {
  const auto small = BpeTrainer::Create({.vocab_size = 257});
  EXPECT_THAT(MessageOf(small.status()), HasSubstr("vocab_size 257 is too small"));
  const auto unknown = BpeTrainer::Create({.pattern = "gpt5"});
  EXPECT_THAT(MessageOf(unknown.status()), HasSubstr("gpt2, llama3, cl100k, o200k"));
  auto trainer = BpeTrainer::Create({});
  EXPECT_EQ((*trainer)->Train().status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace halcyon::pipeline
