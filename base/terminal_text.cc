#include "base/terminal_text.h"

#include <unistd.h>

#include <array>
#include <cstdio>

#include "base/file_descriptor.h"

namespace halcyon {
namespace {

std::string Named(const char* format, unsigned value) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

}  // namespace

std::string TerminalEscaper::Escape(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    // U+0080 to U+009F: U+009B alone opens a control sequence, as ESC [ does.
    const bool c1 = after_c2_ && byte >= 0x80 && byte < 0xA0;
    after_c2_ = byte == 0xC2;
    if (c1) {
      // The 0xC2 may be on the terminal already, where it is then an incomplete character.
      if (!escaped.empty()) escaped.pop_back();
      escaped += Named("\\u%04x", byte);
    } else if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F) {
      escaped += Named("\\x%02x", byte);
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string EscapeForTerminal(std::string_view text) { return TerminalEscaper().Escape(text); }

void PrintToStandardError(std::string_view text) {
  const bool terminal = isatty(STDERR_FILENO) != 0;
  WriteAll(STDERR_FILENO, terminal ? EscapeForTerminal(text) : std::string(text));
}

}  // namespace halcyon
