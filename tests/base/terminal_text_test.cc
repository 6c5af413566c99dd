#include "base/terminal_text.h"

#include <gtest/gtest.h>

namespace halcyon {
namespace {

TEST(TerminalTextTest, ControlCharactersAreNamed) {
  EXPECT_EQ(EscapeForTerminal("a\x1b[31mb"), "a\\x1b[31mb");
  EXPECT_EQ(EscapeForTerminal(std::string("\0\a\b\r\x7f", 5)), "\\x00\\x07\\x08\\x0d\\x7f");
  // CSI and OSC as single characters, in UTF-8.
  EXPECT_EQ(EscapeForTerminal("\xC2\x9B"
                              "2J \xC2\x9D"),
            "\\u009b2J \\u009d");
}

TEST(TerminalTextTest, TextStaysAsItIs) {
  const std::string text = "tab\tline\n\xC2\xA0\xC3\xA9\xE2\x82\xAC \xF0\x9F\x98\x80 \xE4\x9B\x9B";
  EXPECT_EQ(EscapeForTerminal(text), text);
}

TEST(TerminalTextTest, ACharacterMayBeDividedBetweenTwoPieces) {
  for (const auto& [text, end] :
       {std::pair<std::string, std::string>{"\xC3\xA9", "\xA9"}, {"\xE4\x9B\x9B", "\x9B\x9B"}}) {
    TerminalEscaper escaper;
    EXPECT_EQ(escaper.Escape(text.substr(0, 1)), text.substr(0, 1));
    EXPECT_EQ(escaper.Escape(text.substr(1)), end);
  }
  TerminalEscaper escaper;
  escaper.Escape("x\xC2");
  EXPECT_EQ(escaper.Escape("\x9B"
                           "2J"),
            "\\u009b2J");
}

}  // namespace
}  // namespace halcyon
