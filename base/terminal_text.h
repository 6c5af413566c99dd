// Text of any origin (file names, errors of libraries, text that a model generated) for a terminal:
// its control characters are shown as escapes, so the terminal does not act on them.
#ifndef HALCYON_BASE_TERMINAL_TEXT_H_
#define HALCYON_BASE_TERMINAL_TEXT_H_

#include <string>
#include <string_view>

namespace halcyon {

// Replaces control characters by escapes: "\x1b", "\x7f", "\u009b". Newline and tab stay.
// Takes one text in consecutive pieces; a character may be split between two of them. A value.
class TerminalEscaper {
 public:
  std::string Escape(std::string_view text);

 private:
  bool after_c2_ = false;  // the last byte was 0xC2, with which U+0080 to U+009F begin
};

// The whole text at once.
std::string EscapeForTerminal(std::string_view text);

// Prints to standard error, escaped when that is a terminal. A failure is not reported: there is no
// other place to report it.
void PrintToStandardError(std::string_view text);

}  // namespace halcyon

#endif  // HALCYON_BASE_TERMINAL_TEXT_H_
