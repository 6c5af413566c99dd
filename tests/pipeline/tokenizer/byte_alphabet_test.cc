#include "pipeline/tokenizer/byte_alphabet.h"

#include <gtest/gtest.h>

#include <set>

namespace halcyon::pipeline {
namespace {

// Characters that every reader of GPT-2's vocabulary knows.
TEST(ByteAlphabet, KnownSpellings) {
  EXPECT_EQ(SpellBytes(" the"), "\u0120the");
  EXPECT_EQ(SpellBytes("\n"), "\u010A");
  EXPECT_EQ(SpellBytes(std::string_view("\0", 1)), "\u0100");
  EXPECT_EQ(SpellBytes("\x7F"), "\u0121");
  EXPECT_EQ(SpellBytes("\xAD"), "\u0143");  // the soft hyphen, the last that is moved
  EXPECT_EQ(SpellBytes("\u00E9"), "\u00C3\u00A9");
}

TEST(ByteAlphabet, EveryByteHasItsOwnCharacterAndComesBack) {
  std::set<std::string> spellings;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string bytes(1, static_cast<char>(byte));
    const std::string spelling = SpellBytes(bytes);
    EXPECT_TRUE(spellings.insert(spelling).second);
    EXPECT_EQ(ReadSpelling(spelling), bytes);
  }
}

TEST(ByteAlphabet, RefusesOtherCharacters) {
  for (const char* spelling : {" ", "\n", "a b", "\u0144", "\u2581the", "\u00AD", "\xC4", "\xFF",
                               "\xC4\x41", "\xC1\x81"}) {
    EXPECT_EQ(ReadSpelling(spelling), std::nullopt) << spelling;
  }
}

}  // namespace
}  // namespace halcyon::pipeline
