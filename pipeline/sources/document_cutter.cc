#include "pipeline/sources/document_cutter.h"

#include <algorithm>

#include "base/check.h"

namespace halcyon::pipeline {

using jobs::DocumentRule;

namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool IsLineBlank(std::string_view text, size_t start) {
  const size_t end = std::min(text.find('\n', start), text.size());
  return IsBlank(text.substr(start, end - start));
}

// Start of the line before the one at `start`. REQUIRES: start >= 1.
size_t PreviousLine(std::string_view text, size_t start) {
  if (start == 1) return 0;
  const size_t newline = text.rfind('\n', start - 2);
  return newline == std::string_view::npos ? 0 : newline + 1;
}

bool StartsDocument(DocumentRule rule, std::string_view text, size_t line, bool after_blank) {
  if (IsLineBlank(text, line)) return false;
  if (rule == DocumentRule::kLines) return true;
  if (!after_blank) return false;
  return rule == DocumentRule::kParagraphs || (text[line] != ' ' && text[line] != '\t');
}

std::string_view WithoutTrailingNewlines(std::string_view text) {
  while (text.ends_with('\n')) {
    text.remove_suffix(1);
    if (text.ends_with('\r')) text.remove_suffix(1);
  }
  return text;
}

std::string_view WithoutLeadingBlankLines(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  const size_t newline = text.substr(0, first).rfind('\n');
  if (newline != std::string_view::npos) text.remove_prefix(newline + 1);
  return text;
}

// Cuts after the last line that is not blank, before its line end.
std::string_view WithoutTrailingBlankLines(std::string_view text) {
  const size_t last = text.find_last_not_of(kBlanks);
  if (last == std::string_view::npos) return {};
  text = text.substr(0, std::min(text.find('\n', last), text.size()));
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

}  // namespace

bool IsBlank(std::string_view text) {
  return text.find_first_not_of(kBlanks) == std::string_view::npos;
}

std::string_view WithoutByteOrderMark(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  return text;
}

DocumentRule RuleOf(const jobs::DataSpec& data) {
  return data.format == jobs::DataFormat::kJsonl ? DocumentRule::kLines : data.documents;
}

size_t FindDocumentStart(DocumentRule rule, std::string_view text, size_t from) {
  HALCYON_CHECK(from >= 1);
  if (rule == DocumentRule::kFile) return std::string_view::npos;
  size_t newline = text.find('\n', from - 1);
  if (newline == std::string_view::npos) return std::string_view::npos;
  bool after_blank = IsLineBlank(text, PreviousLine(text, newline + 1));
  while (newline != std::string_view::npos && newline + 1 < text.size()) {
    const size_t line = newline + 1;
    if (StartsDocument(rule, text, line, after_blank)) return line;
    after_blank = IsLineBlank(text, line);
    newline = text.find('\n', line);
  }
  return std::string_view::npos;
}

std::string_view TakeDocument(DocumentRule rule, std::string_view* rest) {
  // A shard may begin with blank lines; its first document begins after them.
  if (rule != DocumentRule::kFile) *rest = WithoutLeadingBlankLines(*rest);
  if (rest->empty()) return {};
  const size_t end = std::min(FindDocumentStart(rule, *rest, 1), rest->size());
  const std::string_view raw = rest->substr(0, end);
  rest->remove_prefix(end);
  const bool blank_lines_are_text = rule == DocumentRule::kFile || rule == DocumentRule::kEntries;
  return blank_lines_are_text ? WithoutTrailingNewlines(raw) : WithoutTrailingBlankLines(raw);
}

}  // namespace halcyon::pipeline
