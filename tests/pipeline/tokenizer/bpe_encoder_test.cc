#include "pipeline/tokenizer/piece_merger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/tokenizer/batch_merger.h"
#include "pipeline/utf8.h"
#include "tests/pipeline/tokenizer/naive_bpe.h"

namespace halcyon::pipeline {
namespace {

using ::testing::HasSubstr;

// The bytes, end-of-text, and nothing else.
BpeVocabulary BytesOnly() {
  BpeVocabulary vocabulary;
  for (int byte = 0; byte < 256; ++byte) vocabulary.tokens.emplace_back(1, static_cast<char>(byte));
  vocabulary.special.assign(256, false);
  vocabulary.regex = *PatternByName("gpt2");
  return vocabulary;
}

uint32_t AddToken(BpeVocabulary* vocabulary, const std::string& bytes) {
  for (uint32_t id = 0; id < vocabulary->tokens.size(); ++id) {
    if (vocabulary->tokens[id] == bytes) return id;
  }
  vocabulary->tokens.push_back(bytes);
  vocabulary->special.push_back(false);
  return static_cast<uint32_t>(vocabulary->tokens.size() - 1);
}

// Merges of random tokens in random order: unlike trained ones, later ranks may build what earlier
// ranks need.
BpeVocabulary RandomVocabulary(uint64_t seed, uint64_t merges) {
  const PhiloxStream stream(seed, NoiseStream::kEvaluation, 3, 0);
  BpeVocabulary vocabulary = BytesOnly();
  std::vector<uint32_t> pool = {'a', 'b'};
  std::vector<BpeMerge> made;
  for (uint64_t i = 0; i < merges; ++i) {
    const uint32_t left = pool[stream.Below(2 * i, pool.size())];
    const uint32_t right = pool[stream.Below(2 * i + 1, pool.size())];
    const auto same = [&](const BpeMerge& m) { return m.left == left && m.right == right; };
    if (std::any_of(made.begin(), made.end(), same)) continue;
    const uint32_t result =
        AddToken(&vocabulary, vocabulary.tokens[left] + vocabulary.tokens[right]);
    made.push_back({left, right, result});
    pool.push_back(result);
  }
  for (uint64_t i = made.size(); i > 1; --i) {
    std::swap(made[i - 1], made[stream.Below(1000 + i, i)]);
  }
  vocabulary.merges = made;
  return vocabulary;
}

std::string RandomWord(uint64_t seed, uint64_t size) {
  const PhiloxStream stream(seed, NoiseStream::kEvaluation, 4, 0);
  std::string word;
  for (uint64_t i = 0; i < size; ++i) word += stream.Bits(i) % 3 == 0 ? 'b' : 'a';
  return word;
}

std::vector<uint32_t> BytesOf(const BpeTokenizer& tokenizer, std::string_view text) {
  std::vector<uint32_t> ids;
  for (const char byte : text) ids.push_back(tokenizer.IdOfByte(static_cast<uint8_t>(byte)));
  return ids;
}

MergeTable TableOf(const BpeVocabulary& vocabulary) {
  MergeTable table;
  for (uint32_t rank = 0; rank < vocabulary.merges.size(); ++rank) {
    const auto& [left, right, result] = vocabulary.merges[rank];
    EXPECT_TRUE(table.Add(left, right, {rank, result}));
  }
  return table;
}

TEST(PieceMerger, EqualsTheDefinitionForAnyMerges) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    auto tokenizer = BpeTokenizer::Create(RandomVocabulary(seed, 30));
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    const MergeTable table = TableOf((*tokenizer)->vocabulary());
    PieceMerger merger(&table);
    // Both sides of the length from which on not all pairs are looked at for each merge.
    for (const uint64_t size : {1, 2, 3, 10, 40, 63, 64, 65, 66, 100, 200}) {
      const std::string word = RandomWord(seed * 1000 + size, size);
      std::vector<uint32_t> ids;
      auto symbols = BytesOf(**tokenizer, word);
      merger.Merge(symbols, &ids);
      ASSERT_EQ(ids, NaiveEncodePiece((*tokenizer)->vocabulary(), word))
          << "seed " << seed << ", " << word;
    }
  }
}

TEST(BatchMerger, EqualsTheDefinitionForAnyMerges) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    auto tokenizer = BpeTokenizer::Create(RandomVocabulary(seed, 30));
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    const ByteMerges& merges = (*tokenizer)->merges();
    BatchMerger merger(&merges);
    // Both sides of the lengths at which another form takes over, and more than are merged by
    // turns.
    std::vector<std::string> words;
    for (uint64_t i = 0; i < 60; ++i) {
      for (const uint64_t size : {1, 2, 3, 10, 14, 15, 16, 17, 30, 31, 32, 33, 63, 64, 65}) {
        if (size < 10 || i < 20) words.push_back(RandomWord(seed * 10000 + 100 * i + size, size));
      }
    }
    const std::vector<std::string_view> pieces(words.begin(), words.end());
    std::vector<std::vector<uint32_t>> ids(words.size());
    merger.Merge(pieces, [&](size_t i, std::span<const uint32_t> symbols) {
      EXPECT_TRUE(ids[i].empty());
      for (const uint32_t symbol : symbols) ids[i].push_back(merges.IdOf(symbol));
    });
    for (size_t i = 0; i < words.size(); ++i) {
      ASSERT_EQ(ids[i], NaiveEncodePiece((*tokenizer)->vocabulary(), words[i]))
          << "seed " << seed << ", " << words[i];
    }
  }
}

TEST(RankMinima, EqualsTheDefinition) {
  for (const size_t size : {1, 2, 15, 16, 17, 255, 256, 257, 5000}) {
    const PhiloxStream stream(size, NoiseStream::kEvaluation, 11, 0);
    std::vector<uint32_t> ranks(size);
    for (size_t i = 0; i < size; ++i) ranks[i] = static_cast<uint32_t>(stream.Below(i, 1000));
    RankMinima minima;
    minima.Start(ranks);
    for (size_t round = 0; round < 3000; ++round) {
      const auto least = std::min_element(ranks.begin(), ranks.end());
      const auto found = minima.Find();
      ASSERT_EQ(found.rank, *least);
      if (*least == PlacedRank::kNoRank) break;
      ASSERT_EQ(found.at, static_cast<size_t>(least - ranks.begin()));
      const bool remove = stream.Bits(10000 + round) % 4 != 0;
      const size_t at = remove ? found.at : stream.Below(20000 + round, size);
      ranks[at] =
          remove ? PlacedRank::kNoRank : static_cast<uint32_t>(stream.Below(30000 + round, 1000));
      minima.Set(at, ranks[at]);
    }
  }
}

TEST(PieceMerger, ALongRunTakesAFewStepsAByte) {
  BpeVocabulary vocabulary = BytesOnly();
  std::string run = "a";
  for (int doubling = 0; doubling < 10; ++doubling) {
    const uint32_t half = AddToken(&vocabulary, run);
    run += run;
    vocabulary.merges.push_back({half, half, AddToken(&vocabulary, run)});
  }
  auto tokenizer = BpeTokenizer::Create(vocabulary);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const MergeTable table = TableOf(vocabulary);
  PieceMerger merger(&table);
  const std::string text(1 << 20, 'a');
  std::vector<uint32_t> ids;
  auto symbols = BytesOf(**tokenizer, text);
  merger.Merge(symbols, &ids);
  EXPECT_EQ(ids, std::vector<uint32_t>(1 << 10, AddToken(&vocabulary, run)));
  // n pairs at first, and each of fewer than n merges makes two.
  EXPECT_LT(merger.steps(), 3 * text.size());
}

TEST(Encoder, EqualsTheDefinitionAndComesBack) {
  for (const char* pattern : {"gpt2", "llama3", "cl100k", "o200k"}) {
    const auto tokenizer =
        TrainOn({RandomProse(1, 400), RandomProse(2, 400), RandomProse(3, 400)}, 330, pattern);
    const auto encoder = Encoder::Create(tokenizer);
    for (uint64_t seed = 0; seed < 30; ++seed) {
      const std::string text = RandomProse(seed, 200);
      std::vector<uint32_t> ids = {7};
      encoder->Encode(text, &ids);
      EXPECT_EQ(ids.front(), 7u);  // appends
      ids.erase(ids.begin());
      ASSERT_EQ(ids, NaiveEncode(*tokenizer, text)) << pattern << ", seed " << seed;
      ASSERT_EQ(*tokenizer->Decode(ids), text);
    }
  }
}

TEST(Encoder, AnyTextComesBack) {
  const auto tokenizer = TrainOn({RandomProse(1, 500)}, 300, "o200k");
  const auto encoder = Encoder::Create(tokenizer);
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const PhiloxStream stream(seed, NoiseStream::kEvaluation, 5, 0);
    std::string text;
    for (uint64_t i = 0; i < 100; ++i) {
      // Any code point but surrogates: two, three and four bytes, and ASCII with controls.
      auto point = static_cast<char32_t>(stream.Below(i, i % 2 == 0 ? 0x80 : kCodePoints));
      if (point >= 0xD800 && point <= 0xDFFF) point = 0xFFFD;
      AppendUtf8(point, &text);
    }
    std::vector<uint32_t> ids;
    encoder->Encode(text, &ids);
    ASSERT_EQ(*tokenizer->Decode(ids), text) << "seed " << seed;
  }
}

TEST(Encoder, ACacheThatStartsAnewChangesNothing) {
  const auto tokenizer = TrainOn({"10 20 30 2020 3030 1010"}, 270);
  const auto encoder = Encoder::Create(tokenizer);
  std::string text;
  for (int i = 0; i < 300000; ++i) text += std::to_string(i) + " ";  // more pieces than it holds
  std::vector<uint32_t> first, second;
  encoder->Encode(text, &first);
  encoder->Encode(text, &second);
  EXPECT_EQ(first, second);
  EXPECT_EQ(*tokenizer->Decode(first), text);
  EXPECT_EQ(Encode(tokenizer, "102030"), NaiveEncode(*tokenizer, "102030"));
}

TEST(Encoder, SpecialTokensInTextAreOrdinaryCharacters) {
  const auto tokenizer = TrainOn({"text"}, 300);
  const std::string text = "a<|endoftext|><|padding|>b";
  const auto ids = Encode(tokenizer, text);
  for (const uint32_t id : ids) {
    EXPECT_NE(id, tokenizer->end_of_text());
    EXPECT_NE(id, tokenizer->padding());
  }
  EXPECT_EQ(*tokenizer->Decode(ids), text);
}

TEST(Encoder, IgnoringMergesTakesWholePieces) {
  BpeVocabulary vocabulary = BytesOnly();
  const uint32_t whole = AddToken(&vocabulary, "word");  // no merge leads to it
  const uint32_t pair = AddToken(&vocabulary, "wo");
  vocabulary.merges = {{'w', 'o', pair}};
  EXPECT_EQ(Encode(*BpeTokenizer::Create(vocabulary), "word"),
            (std::vector<uint32_t>{pair, 'r', 'd'}));
  vocabulary.ignore_merges = true;
  EXPECT_EQ(Encode(*BpeTokenizer::Create(vocabulary), "word"), std::vector<uint32_t>{whole});
  EXPECT_EQ(Encode(*BpeTokenizer::Create(vocabulary), "words"),
            (std::vector<uint32_t>{pair, 'r', 'd', 's'}));
}

TEST(Tokenizer, DecodeLeavesSpecialTokensOutUnlessAsked) {
  const auto tokenizer = TrainOn({"text"}, 300);
  const std::vector<uint32_t> ids = {'a', tokenizer->end_of_text(), 'b', tokenizer->padding()};
  EXPECT_EQ(*tokenizer->Decode(ids), "ab");
  EXPECT_EQ(*tokenizer->Decode(ids, /*keep_special=*/true), "a<|endoftext|>b<|padding|>");
}

TEST(Tokenizer, DecodeRefusesUnknownIds) {
  const auto tokenizer = TrainOn({"text"}, 258);
  const auto text = tokenizer->Decode(std::vector<uint32_t>{'a', 258});
  EXPECT_EQ(text.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(MessageOf(text.status()), HasSubstr("id 258 at position 1"));
}

TEST(BpeTokenizer, RefusesVocabulariesThatContradictThemselves) {
  const auto error = [](const BpeVocabulary& vocabulary) {
    const auto tokenizer = BpeTokenizer::Create(vocabulary);
    EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kInvalidArgument);
    return MessageOf(tokenizer.status());
  };
  BpeVocabulary vocabulary = BytesOnly();
  vocabulary.tokens['x'] = "yy";
  EXPECT_THAT(error(vocabulary), HasSubstr("no token is the byte 120"));
  vocabulary.tokens['x'] = "y";
  EXPECT_THAT(error(vocabulary), HasSubstr("tokens 120 and 121 are both \"y\""));
  vocabulary = BytesOnly();
  const uint32_t ab = AddToken(&vocabulary, "ab");
  vocabulary.merges = {{'a', 'c', ab}};
  EXPECT_THAT(error(vocabulary), HasSubstr("merge 0"));
  vocabulary.merges = {{'a', 1000, ab}};
  EXPECT_THAT(error(vocabulary), HasSubstr("merge 0"));
  vocabulary.merges = {{'a', 'b', ab}, {'a', 'b', ab}};
  EXPECT_THAT(error(vocabulary), HasSubstr("merge 1 was given before"));
  vocabulary.merges = {{'a', 'b', ab}};
  vocabulary.special[ab] = true;  // text must never give a special token
  EXPECT_THAT(error(vocabulary), HasSubstr("merge 0"));
}

}  // namespace
}  // namespace halcyon::pipeline
