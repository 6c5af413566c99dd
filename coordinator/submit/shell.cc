#include "coordinator/submit/shell.h"

#include <algorithm>
#include <cctype>

#include "base/check.h"

namespace halcyon::coordinator {
namespace {

bool IsPlain(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("_-./:@%+,").find(c) != std::string_view::npos;
}

}  // namespace

std::string ShellQuoted(std::string_view text) {
  HALCYON_CHECK(text.find('\0') == std::string_view::npos);
  if (!text.empty() && std::all_of(text.begin(), text.end(), IsPlain)) return std::string(text);
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string ShellCommand(const std::vector<std::string>& words) {
  std::string command;
  for (const std::string& word : words) {
    if (!command.empty()) command += ' ';
    command += ShellQuoted(word);
  }
  return command;
}

absl::StatusOr<std::string> SbatchQuoted(std::string_view text, std::string_view what) {
  const auto is_bad = [](char c) {
    return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  };
  if (std::any_of(text.begin(), text.end(), is_bad)) {
    return InvalidArgument(std::string(what) +
                           " holds a quote, a backslash or a control character, which sbatch does "
                           "not take; rename it");
  }
  return "\"" + std::string(text) + "\"";
}

}  // namespace halcyon::coordinator
