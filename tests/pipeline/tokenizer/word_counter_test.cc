#include "pipeline/tokenizer/training/word_counter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/pipeline/tokenizer/naive_bpe.h"

namespace halcyon::pipeline {
namespace {

using ::testing::ElementsAre;

using Counts = std::map<std::string, uint64_t>;

struct Counted {
  Counts counts;
  DroppedWords dropped;
};

constexpr char kPattern[] = "llama3";
constexpr uint64_t kUnbounded = uint64_t{1} << 40;
// A round so small that these texts are many rounds of many batches.
constexpr size_t kRoundBytes = 12800;

Counted CountWords(const std::vector<std::string>& texts, uint64_t bytes_max, size_t threads) {
  WordCounter counter(*CompilePattern(*PatternByName(kPattern)), bytes_max, threads, kRoundBytes);
  for (const std::string& text : texts) counter.Add(text);
  counter.Finish();
  Counted counted;
  const size_t words = counter.word_count();
  counter.TakeWords([&](std::string_view word, uint64_t count) {
    EXPECT_TRUE(counted.counts.emplace(word, count).second) << "\"" << word << "\" came twice";
  });
  EXPECT_EQ(counted.counts.size(), words);
  counted.dropped = counter.dropped();
  return counted;
}

Counts CountByDefinition(const std::vector<std::string>& texts) {
  Counts counts;
  for (const std::string& text : texts) {
    for (const std::string& piece : PiecesOf(*PatternByName(kPattern), text)) ++counts[piece];
  }
  return counts;
}

// A few words over and over among many that hardly come again, in texts of all sizes.
std::vector<std::string> ManyWords(uint64_t seed) {
  const PhiloxStream stream(seed, NoiseStream::kEvaluation, 3, 0);
  std::vector<std::string> texts(40);
  for (uint64_t i = 0; i < 20000; ++i) {
    const uint64_t number =
        stream.Below(i, 3) == 0 ? stream.Bits(i + 100000) % 50000 : stream.Bits(i + 100000) % 40;
    std::string word = " w";
    for (uint64_t rest = number; rest > 0; rest /= 20) word += static_cast<char>('a' + rest % 20);
    texts[stream.Below(i + 200000, i < 10000 ? 2 : texts.size())] += word;
  }
  return texts;
}

TEST(WordCounter, CountsWhatTheDefinitionCounts) {
  std::vector<std::string> texts = ManyWords(1);
  for (uint64_t seed = 0; seed < 30; ++seed) texts.push_back(RandomProse(seed, 3 + 100 * seed));
  const Counts expected = CountByDefinition(texts);
  for (const size_t threads : {1, 2, 3}) {
    const Counted counted = CountWords(texts, kUnbounded, threads);
    EXPECT_EQ(counted.counts, expected) << threads << " threads";
    EXPECT_EQ(counted.dropped.words, 0u);
    EXPECT_EQ(counted.dropped.short_max, 0u);
  }
}

TEST(WordCounter, LeavesOutTheSameRareWordsWithAnyNumberOfThreads) {
  const std::vector<std::string> texts = ManyWords(2);
  constexpr uint64_t kBytesMax = 300'000;
  const Counted one = CountWords(texts, kBytesMax, 1);
  EXPECT_GT(one.dropped.words, 1000u);
  for (const size_t threads : {2, 3}) {
    const Counted counted = CountWords(texts, kBytesMax, threads);
    EXPECT_EQ(counted.counts, one.counts) << threads << " threads";
    EXPECT_EQ(counted.dropped.words, one.dropped.words);
    EXPECT_EQ(counted.dropped.occurrences, one.dropped.occurrences);
    EXPECT_EQ(counted.dropped.short_max, one.dropped.short_max);
  }
}

TEST(WordCounter, SaysByHowMuchCountsMayBeTooSmall) {
  const std::vector<std::string> texts = ManyWords(3);
  const Counts exact = CountByDefinition(texts);
  uint64_t all = 0;
  for (const auto& [word, count] : exact) all += count;
  for (const uint64_t bytes_max : {2'000'000, 300'000, 60'000}) {
    const Counted counted = CountWords(texts, bytes_max, 2);
    uint64_t kept = 0, bytes = 0, most_missing = 0;
    for (const auto& [word, count] : counted.counts) {
      kept += count;
      bytes += WordTable::BytesOf(word);
    }
    for (const auto& [word, count] : exact) {
      const auto found = counted.counts.find(word);
      most_missing =
          std::max(most_missing, count - (found == counted.counts.end() ? 0 : found->second));
    }
    EXPECT_LE(bytes, bytes_max);
    EXPECT_EQ(kept + counted.dropped.occurrences, all);
    EXPECT_LE(most_missing, counted.dropped.short_max) << bytes_max;
    EXPECT_EQ(counted.dropped.words > 0, bytes_max < 2'000'000) << bytes_max;
  }
}

// Half of what is allowed stays, and of that the words that occur most often.
TEST(WordCounter, LeavesOutTheRarest) {
  std::vector<std::string> texts;
  for (const int times : {1, 2, 3, 4}) {
    std::string text;
    for (int i = 0; i < times; ++i)
      text += " word" + std::string(1, static_cast<char>('a' + times));
    texts.push_back(text);
  }
  const uint64_t one = WordTable::BytesOf(" worda");
  const Counted counted = CountWords(texts, 4 * one - 1, 1);
  EXPECT_EQ(counted.counts, (Counts{{" worde", 4}}));
  EXPECT_EQ(counted.dropped.words, 3u);
  EXPECT_EQ(counted.dropped.occurrences, 1u + 2 + 3);
  EXPECT_EQ(counted.dropped.short_max, 3u);
  EXPECT_EQ(CountWords(texts, 4 * one, 1).dropped.words, 0u);
}

TEST(WordCounter, CutsATextWhereEveryPatternBeginsAMatch) {
  EXPECT_EQ(EndOfSafePart("ab cd ef", 0), 2u);
  EXPECT_EQ(EndOfSafePart("ab cd ef", 3), 5u);
  EXPECT_EQ(EndOfSafePart("a  b 1 c\n d, e", 0), 14u);
  EXPECT_EQ(EndOfSafePart(" ab", 0), 3u);
  EXPECT_EQ(EndOfSafePart("ab ", 0), 3u);
  for (const char* pattern : {"gpt2", "llama3", "cl100k", "o200k"}) {
    const std::string regex = *PatternByName(pattern);
    for (uint64_t seed = 0; seed < 40; ++seed) {
      const std::string text = RandomProse(seed, 60);
      const std::vector<std::string> whole = PiecesOf(regex, text);
      for (size_t from = 0; from < text.size(); from += 7) {
        const size_t end = EndOfSafePart(text, from);
        std::vector<std::string> pieces = PiecesOf(regex, text.substr(0, end));
        for (auto& piece : PiecesOf(regex, text.substr(end))) pieces.push_back(piece);
        ASSERT_EQ(pieces, whole) << pattern << ", seed " << seed << ", cut at " << end;
      }
    }
  }
}

}  // namespace
}  // namespace halcyon::pipeline
