#include "pipeline/tokenizer/split_pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/pipeline/tokenizer/naive_bpe.h"

namespace halcyon::pipeline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Split(const char* pattern, std::string_view text) {
  return PiecesOf(*PatternByName(pattern), text);
}

TEST(SplitPattern, Gpt2) {
  EXPECT_THAT(Split("gpt2", "Hello world, it's 2023!\n\n  New  line "),
              ElementsAre("Hello", " world", ",", " it", "'s", " 2023", "!", "\n\n ", " New", " ",
                          " line", " "));
  EXPECT_THAT(Split("gpt2", "IT'S \u00E9t\u00E9 \u4E2D\u6587 \U0001F600"),
              ElementsAre("IT", "'", "S", " \u00E9t\u00E9", " \u4E2D\u6587", " \U0001F600"));
}

TEST(SplitPattern, Llama3) {
  EXPECT_THAT(Split("llama3", "IT'S 12345 (word)\n\n  x = 1;\n  "),
              ElementsAre("IT", "'S", " ", "123", "45", " (", "word", ")\n\n", " ", " x", " =", " ",
                          "1", ";\n", "  "));
}

TEST(SplitPattern, Cl100kDiffersInWhiteSpaceAtTheEnd) {
  EXPECT_THAT(Split("llama3", "a\n\n  "), ElementsAre("a", "\n\n", "  "));
  EXPECT_THAT(Split("cl100k", "a\n\n  "), ElementsAre("a", "\n\n  "));
  EXPECT_THAT(Split("cl100k", "a\n\n  b"), ElementsAre("a", "\n\n", " ", " b"));
}

TEST(SplitPattern, O200kSplitsAtCapitals) {
  EXPECT_THAT(Split("o200k", "CamelCaseWord's HTTPServer a/b//\n"),
              ElementsAre("Camel", "Case", "Word's", " HTTPServer", " a", "/b", "//\n"));
}

TEST(SplitPattern, WhiteSpaceIsThePropertyOfTheStandard) {
  // U+180E left it in Unicode 6.3; U+0085 and U+3000 are in it.
  EXPECT_THAT(Split("gpt2", "a\u180E\u180E b"), ElementsAre("a", "\u180E\u180E", " b"));
  EXPECT_THAT(Split("gpt2", "a\u0085\u3000\u3000b"),
              ElementsAre("a", "\u0085\u3000", "\u3000", "b"));
}

// A second reading of the gpt2 expression for ASCII: where does the piece at the front end?
size_t Gpt2PieceLength(std::string_view text) {
  const auto kind = [&](size_t i) {
    if (i >= text.size()) return 'e';
    const char c = text[i];
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return 'l';
    if (c >= '0' && c <= '9') return 'n';
    return c == ' ' || (c >= '\t' && c <= '\r') ? 's' : 'o';
  };
  for (const char* suffix : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    if (text.starts_with(suffix)) return std::string_view(suffix).size();
  }
  size_t end = text[0] == ' ' && kind(1) != 's' && kind(1) != 'e' ? 1 : 0;
  const char first = kind(end);
  while (kind(end) == first) ++end;
  // White space before a word leaves its last character to the word.
  if (first == 's' && end < text.size() && end > 1) --end;
  return end;
}

TEST(SplitPattern, Gpt2EqualsASecondReading) {
  static constexpr std::string_view kCharacters = "ab's tve1 2\n\t  .,\"lmdr'";
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    const PhiloxStream stream(seed, NoiseStream::kEvaluation, 6, 0);
    std::string text;
    for (uint64_t i = 0; i < 40; ++i) text += kCharacters[stream.Below(i, kCharacters.size())];
    std::vector<std::string> expected;
    for (std::string_view rest = text; !rest.empty();) {
      expected.emplace_back(rest.substr(0, Gpt2PieceLength(rest)));
      rest.remove_prefix(expected.back().size());
    }
    ASSERT_EQ(Split("gpt2", text), expected) << ::testing::PrintToString(text);
  }
}

TEST(SplitPattern, NothingIsLostBetweenMatches) {
  EXPECT_THAT(PiecesOf("[a-z]+", "12ab 3cd!!"), ElementsAre("12", "ab", " 3", "cd", "!!"));
  EXPECT_THAT(PiecesOf("x*", "aaxb"), ElementsAre("a", "a", "x", "b"));  // even where nothing
}

TEST(SplitPattern, LongRunsAreOnePiece) {
  for (const char* pattern : {"gpt2", "llama3", "cl100k", "o200k"}) {
    for (const char c : {'a', 'A', ' ', '\n', '.'}) {
      const std::string run(1 << 20, c);
      EXPECT_THAT(Split(pattern, run), ElementsAre(run)) << pattern << " " << c;
    }
  }
}

// Backtracking into nested groups needs memory for each byte; past its end the rest is one piece.
TEST(SplitPattern, AnExpressionThatExhaustsTheMatcherLosesNoText) {
  const std::string text = "b " + std::string(4 << 20, 'a');
  std::string joined;
  for (const std::string& piece : PiecesOf("b|(?:(a)|(a)b)+c", text)) joined += piece;
  EXPECT_EQ(joined, text);
}

TEST(SplitPattern, RefusesExpressions) {
  const std::pair<const char*, const char*> cases[] = {{"a(b", "missing closing parenthesis"},
                                                       {"\\w+", "escape \\w"},
                                                       {"[a&&[b]]", "a set inside []"},
                                                       {"[a[bc]]", "a set inside []"},
                                                       {"\\p{Han}", "\\p{Han}"},
                                                       {"^a", "^ outside []"},
                                                       {"a{1,2}+", "{m,n}+"},
                                                       {"(?m:a)", "(?m:"},
                                                       {"[]a]", "[] without members"}};
  for (const auto& [regex, message] : cases) {
    const auto pattern = CompilePattern(regex);
    EXPECT_EQ(pattern.status().code(), absl::StatusCode::kInvalidArgument) << regex;
    EXPECT_THAT(MessageOf(pattern.status()), HasSubstr(message)) << regex;
  }
  EXPECT_THAT(MessageOf(PatternByName("gpt5").status()), HasSubstr("gpt2, llama3, cl100k, o200k"));
}

}  // namespace
}  // namespace halcyon::pipeline
