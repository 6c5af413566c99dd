// Text that may come from anywhere (file names, errors of libraries, what a model writes), made fit
// for a terminal: a control character in it is shown, not obeyed.
#ifndef HALCYON_BASE_TERMINAL_TEXT_H_
#define HALCYON_BASE_TERMINAL_TEXT_H_

#include <string>
#include <string_view>

namespace halcyon {

// Replaces control characters by what names them: "\x1b", "\x7f", "\u009b". Newline and tab stay.
// A value that is handed pieces of one text in turn: a character may be divided between two.
class TerminalEscaper {
 public:
  std::string Escape(std::string_view text);

 private:
  bool after_c2_ = false;  // the last byte was 0xC2, with which U+0080 to U+009F begin
};

// The whole text at once.
std::string EscapeForTerminal(std::string_view text);

// To standard error, for a person; escaped when that is a terminal. A failure is not reported:
// there is no place left to do so.
void PrintToStandardError(std::string_view text);

}  // namespace halcyon

#endif  // HALCYON_BASE_TERMINAL_TEXT_H_
