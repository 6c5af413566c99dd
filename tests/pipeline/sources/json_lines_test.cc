#include "pipeline/sources/json_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/quote_bytes.h"
#include "pipeline/utf8.h"
#include "tests/testing/mutate.h"

namespace halcyon::pipeline {
namespace {

using jobs::InvalidUtf8;
using ::testing::HasSubstr;

class JsonLinesTest : public ::testing::Test {
 protected:
  std::string Text(const std::string& line) {
    const auto json = reader_.Read(line);
    EXPECT_TRUE(json.ok()) << json.status() << " " << line;
    return json.ok() ? std::string(json->text) : "";
  }
  uint64_t Replaced(const std::string& line) {
    const auto json = reader_.Read(line);
    EXPECT_TRUE(json.ok()) << json.status() << " " << line;
    return json.ok() ? json->replaced : 0;
  }
  std::string Error(const std::string& line, InvalidUtf8 rule = InvalidUtf8::kReplace) {
    JsonLineReader reader("text", rule);
    const auto json = reader.Read(line);
    EXPECT_TRUE(absl::IsInvalidArgument(json.status())) << line;
    return MessageOf(json.status());
  }

  JsonLineReader reader_{"text", InvalidUtf8::kReplace};
};

TEST_F(JsonLinesTest, TheTextIsTheStringAsItStands) {
  EXPECT_EQ(Text(R"({"text": "one\nline \u00e9 \ud83d\ude00 \/ \\ \""})"),
            "one\nline \u00E9 \U0001F600 / \\ \"");
  EXPECT_EQ(Text(R"({"text": " two\n\n"})"), " two\n\n") << "newlines at its end belong to it";
  EXPECT_EQ(Text(R"({"text": ""})"), "");
  EXPECT_EQ(Text("  {\"a\": {\"text\": 1}, \"text\": \"\xC3\xA9\"}\r"), "\xC3\xA9");
}

TEST_F(JsonLinesTest, OtherMembersAreSkippedWhateverTheyHold) {
  EXPECT_EQ(Text(R"({"id": 18446744073709551616, "text": "a"})"), "a");
  EXPECT_EQ(Text(R"({"text": "a", "id": -1e999, "n": 123456789012345678901234567890.5})"), "a");
  EXPECT_EQ(Text(R"({"x": "\ud83d", "text": "a", "y": [[{"text": "\udead"}], null]})"), "a");
  EXPECT_EQ(Replaced(R"({"x": "\ud83d", "text": "a"})"), 0u);
  EXPECT_EQ(
      Text("{\"deep\": " + std::string(2000, '[') + std::string(2000, ']') + ", \"text\": \"a\"}"),
      "a");
}

TEST_F(JsonLinesTest, OfEqualNamesTheLastCounts) {
  EXPECT_EQ(Text(R"({"text": "first", "text": "second"})"), "second");
  EXPECT_EQ(Text(R"({"text": 3, "text": "second"})"), "second");
  EXPECT_THAT(Error(R"({"text": "first", "text": null})"), HasSubstr("is not a string: \"null"));
  EXPECT_EQ(Replaced(R"({"text": "\ud83d", "text": "b"})"), 0u);
}

TEST_F(JsonLinesTest, ANameMayBeSpeltWithEscapes) {
  EXPECT_EQ(Text(R"({"te\u0078t": "a"})"), "a");
  EXPECT_EQ(Text(R"({"\ud83d": 1, "t\"ext": 2, "text": "a"})"), "a");
  JsonLineReader quoted("a \"b\" \\", InvalidUtf8::kReplace);
  const auto json = quoted.Read(R"({"a \"b\" \\": "c"})");
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(json->text, "c");
}

// All texts of up to seven quotes, backslashes and letters that escapes begin with.
TEST_F(JsonLinesTest, QuotesAndBackslashesInAnyOrder) {
  static constexpr std::string_view kCharacters = "\"\\nu";
  for (size_t number = 0; number < size_t{1} << 14; ++number) {
    std::string text, escaped;
    for (size_t rest = number; rest > 0; rest /= 4) {
      const char c = kCharacters[rest % 4];
      text += c;
      if (c == '"' || c == '\\') escaped += '\\';
      escaped += c;
    }
    ASSERT_EQ(Text("{\"a\": \"" + escaped + "\", \"text\": \"" + escaped + "\"}"), text);
  }
}

TEST_F(JsonLinesTest, LoneSurrogatesAreReplacedAndCounted) {
  EXPECT_EQ(Text(R"({"text": "\" \\\" \ud83d"})"), "\" \\\" \uFFFD") << "behind quotes";
  EXPECT_EQ(Text(R"({"text": "half \ud83d here"})"), "half \uFFFD here");
  EXPECT_EQ(Replaced(R"({"text": "half \ud83d here"})"), 1u);
  EXPECT_EQ(Text(R"({"text": "\ude00\ud83d\ud83d\ude00\uD83D"})"), "\uFFFD\uFFFD\U0001F600\uFFFD");
  EXPECT_EQ(Replaced(R"({"text": "\ude00\ud83d\ud83d\ude00\uD83D"})"), 3u);
  EXPECT_EQ(Text(R"({"text": "\ud83d\u0041 \\ud83d"})"), "\uFFFDA \\ud83d")
      << "an escaped backslash does not begin another escape";
}

TEST_F(JsonLinesTest, LoneSurrogatesAreRefusedWhenAsked) {
  EXPECT_THAT(Error(R"({"text": "ab \ud83d cd"})", InvalidUtf8::kRefuse),
              HasSubstr(R"(half a surrogate pair in member "text": "\ud83d")"));
  JsonLineReader strict("text", InvalidUtf8::kRefuse);
  EXPECT_TRUE(strict.Read(R"({"x": "\ud83d", "text": "\ud83d\ude00"})").ok());
}

TEST_F(JsonLinesTest, InvalidUtf8FollowsTheRule) {
  EXPECT_EQ(Text("{\"text\": \"a\xFFz\"}"), "a\uFFFDz");
  EXPECT_EQ(Replaced("{\"text\": \"a\xFFz\xC3\"}"), 2u);
  EXPECT_THAT(Error("{\"text\": \"a\xFFz\"}", InvalidUtf8::kRefuse),
              HasSubstr("invalid UTF-8 at byte 11 of the line: \"\\xFFz\"}\""));
}

TEST_F(JsonLinesTest, ErrorsQuoteTheBytes) {
  const std::pair<const char*, const char*> cases[] = {
      {"{\"text\": \"one\"", "not JSON: "},
      {"{\"text\": \"one", "at \"{\"text\": \"one\""},
      {"{\"text\": \"one\"} x", "not JSON: "},
      {"{\"text\": \"one\", }", "not JSON: "},
      {"{\"text\" \"one\"}", "not JSON: "},
      {"{\"text\": \"a\x01z\"}", "at \"\\x01z\"}\""},
      {"{\"text\": \"a\\qz\"}", "at \"a\\qz\""},
      {"{\"text\": \"a\\u12\"}", "not JSON: "},
      {"{'text': 'one'}", "not JSON: "},
      {"", "not JSON: "},
      {"[1, 2]", "the line is not a JSON object: \"[1, 2]\""},
      {"17", "the line is not a JSON object: \"17\""},
      {"{\"tex\": \"a\"}", "no member \"text\""},
      {"{}", "no member \"text\""},
      {"{\"text\": 3}", "member \"text\" is not a string: \"3}\""},
      {"{\"text\": {\"a\": 1}}", "member \"text\" is not a string"}};
  for (const auto& [line, message] : cases) EXPECT_THAT(Error(line), HasSubstr(message)) << line;
}

TEST_F(JsonLinesTest, AReaderGoesOnAfterAnError) {
  EXPECT_FALSE(reader_.Read("{\"text\": [").ok());
  EXPECT_EQ(Text(R"({"text": "fine"})"), "fine");
  EXPECT_EQ(Text("{\"text\": \"" + std::string(100000, 'x') + "\"}"), std::string(100000, 'x'));
  EXPECT_EQ(Text(R"({"text": "fine"})"), "fine");
}

TEST_F(JsonLinesTest, DamagedLinesGiveValidTextOrAnError) {
  constexpr uint64_t kMutants = 20000;
  const std::string line =
      R"({"id": [1, 2.5e3, null], "text": "one \u00e9 \ud83d\ude00 \\ \" \ud83d", "te\u0078t": "b"})";
  uint64_t accepted = 0;
  for (uint64_t mutant = 0; mutant < kMutants; ++mutant) {
    const std::string damaged = testing::Mutate(line, mutant);
    const auto json = reader_.Read(damaged);
    accepted += json.ok() ? 1 : 0;
    EXPECT_TRUE(!json.ok() || IsValidUtf8(json->text)) << damaged;
  }
  EXPECT_GT(accepted, kMutants / 100);
  EXPECT_LT(accepted, kMutants * 9 / 10);
}

TEST(QuoteBytes, ShowsWhatIsNotPrintable) {
  EXPECT_EQ(QuoteBytes("a\x1b[2J\xC3\xA9\n"), "\"a\\x1B[2J\\xC3\\xA9\\x0A\"");
  EXPECT_EQ(QuoteBytes("abcdef", 3), "\"abc\"...");
  EXPECT_EQ(QuoteBytes(""), "\"\"");
}

}  // namespace
}  // namespace halcyon::pipeline
