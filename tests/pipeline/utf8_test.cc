// Decoding against an oracle that knows only the definition: a character is well-formed when its
// bytes are those that encoding its number gives.
#include "pipeline/utf8.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "base/philox.h"

namespace halcyon::pipeline {
namespace {

// The one UTF-8 spelling of a code point; none for surrogates and beyond U+10FFFF.
std::optional<std::string> Spell(uint32_t c) {
  if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return std::nullopt;
  const auto trail = [&](int shift) { return static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) return std::string{static_cast<char>(c)};
  if (c < 0x800) return std::string{static_cast<char>(0xC0 | c >> 6), trail(0)};
  if (c < 0x10000) return std::string{static_cast<char>(0xE0 | c >> 12), trail(6), trail(0)};
  return std::string{static_cast<char>(0xF0 | c >> 18), trail(12), trail(6), trail(0)};
}

// All prefixes of all characters, by brute force over Unicode: what may still become a character.
class Prefixes {
 public:
  Prefixes() {
    for (uint32_t c = 0; c <= 0x10FFFF; ++c) {
      const auto spelling = Spell(c);
      if (!spelling) continue;
      for (size_t n = 1; n < spelling->size(); ++n) {
        known_[n][Number(std::string_view(*spelling).substr(0, n))] = true;
      }
    }
  }
  bool Has(std::string_view bytes) const {
    return bytes.size() < 4 && known_[bytes.size()][Number(bytes)];
  }

 private:
  static uint32_t Number(std::string_view bytes) {
    uint32_t number = 0;
    for (const char byte : bytes) number = number << 8 | static_cast<uint8_t>(byte);
    return number;
  }
  std::vector<std::vector<bool>> known_ = {
      {}, std::vector<bool>(1 << 8), std::vector<bool>(1 << 16), std::vector<bool>(1 << 24)};
};

// Whether encoding the number that the bytes' payload bits make gives the same bytes.
bool IsCharacter(std::string_view bytes) {
  static constexpr uint8_t kLeadPayload[] = {0, 0xFF, 0x1F, 0x0F, 0x07};
  uint32_t number = static_cast<uint8_t>(bytes[0]) & kLeadPayload[bytes.size()];
  for (const char byte : bytes.substr(1))
    number = number << 6 | (static_cast<uint8_t>(byte) & 0x3F);
  return Spell(number) == bytes;
}

// A character at the front is kept; otherwise the longest prefix of any character, at least one
// byte, becomes one U+FFFD (definition of the maximal subpart).
std::string Oracle(std::string_view text, uint64_t* replaced) {
  static const Prefixes kPrefixes;
  std::string out;
  *replaced = 0;
  while (!text.empty()) {
    size_t length = 1;
    while (length <= std::min<size_t>(4, text.size()) && !IsCharacter(text.substr(0, length))) {
      ++length;
    }
    if (length <= std::min<size_t>(4, text.size())) {
      out += text.substr(0, length);
    } else {
      length = 1;
      while (length < text.size() && kPrefixes.Has(text.substr(0, length + 1))) ++length;
      out += "\xEF\xBF\xBD";
      ++*replaced;
    }
    text.remove_prefix(length);
  }
  return out;
}

void ExpectLikeOracle(std::string_view text) {
  uint64_t replaced = 0, expected_replaced = 0;
  const std::string expected = Oracle(text, &expected_replaced);
  ASSERT_EQ(ReplaceInvalidUtf8(text, &replaced), expected) << ::testing::PrintToString(text);
  ASSERT_EQ(replaced, expected_replaced);
  ASSERT_EQ(IsValidUtf8(text), replaced == 0);
  const size_t first = FirstInvalidUtf8(text);
  ASSERT_EQ(first == std::string_view::npos, replaced == 0);
  if (replaced > 0) {
    ASSERT_TRUE(IsValidUtf8(text.substr(0, first)));
    ASSERT_EQ(expected.substr(first, 3), "\xEF\xBF\xBD");
  }
}

TEST(Utf8, EveryCharacterIsValidAndKept) {
  for (uint32_t c = 0; c <= 0x10FFFF; ++c) {
    const auto spelling = Spell(c);
    if (!spelling) continue;
    uint64_t replaced = 0;
    ASSERT_EQ(ReplaceInvalidUtf8(*spelling, &replaced), *spelling);
    ASSERT_EQ(replaced, 0u);
  }
}

TEST(Utf8, TheStandardsExample) {
  // Unicode 15.0, table 3-8, and the examples of tables 3-9 to 3-11 around it.
  uint64_t replaced = 0;
  EXPECT_EQ(ReplaceInvalidUtf8("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64", &replaced),
            "a\uFFFD\uFFFD\uFFFDb\uFFFDc\uFFFD\uFFFDd");
  EXPECT_EQ(replaced, 6u);
  // Non-shortest forms, surrogates, and beyond U+10FFFF: a replacement for each byte.
  EXPECT_EQ(ReplaceInvalidUtf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", &replaced),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA");
  EXPECT_EQ(ReplaceInvalidUtf8("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", &replaced),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA");
  EXPECT_EQ(ReplaceInvalidUtf8("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", &replaced),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA\uFFFD\uFFFDB");
  // Truncated sequences: one each.
  EXPECT_EQ(ReplaceInvalidUtf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", &replaced),
            "\uFFFD\uFFFD\uFFFD\uFFFDA");
}

TEST(Utf8, AllStringsOfTwoBytes) {
  for (int i = 0; i < 1 << 16; ++i) {
    ExpectLikeOracle(std::string{static_cast<char>(i >> 8), static_cast<char>(i)});
  }
}

TEST(Utf8, RandomStringsOfTellingBytes) {
  // The ends of every range of table 3-7 and their neighbours.
  static constexpr std::string_view kBytes =
      "\x41\x7F\x80\x8F\x90\x9F\xA0\xBF\xC0\xC1\xC2\xDF\xE0\xE1\xEC\xED\xEE\xEF\xF0\xF1\xF3\xF4\xF5"
      "\xFF";
  for (uint64_t i = 0; i < 100000; ++i) {
    const PhiloxStream stream(1, NoiseStream::kEvaluation, 0, i);
    std::string text;
    const uint64_t size = 1 + stream.Below(0, 12);
    for (uint64_t k = 1; k <= size; ++k) text += kBytes[stream.Below(k, kBytes.size())];
    ExpectLikeOracle(text);
  }
}

}  // namespace
}  // namespace halcyon::pipeline
