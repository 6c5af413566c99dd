#include "coordinator/page/page_text.h"

#include <string_view>

#include "base/check.h"
#include "base/digest.h"
#include "coordinator/page/page_files.h"

namespace halcyon::coordinator {
namespace {

int HexDigit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

// Base64 of the bytes that hexadecimal digits give.
std::string Base64OfHex(std::string_view hex) {
  constexpr char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  // Three digits have as many bits as two letters.
  for (size_t i = 0; i < hex.size(); i += 3) {
    int bits = 0;
    for (size_t k = 0; k < 3; ++k)
      bits = bits << 4 | (i + k < hex.size() ? HexDigit(hex[i + k]) : 0);
    text += kLetters[bits >> 6];
    if (i + 1 < hex.size()) text += kLetters[bits & 63];
  }
  while (text.size() % 4 != 0) text += '=';
  return text;
}

std::string Source(std::string_view text) {
  return "'sha256-" + Base64OfHex(Sha256::Of(text)) + "'";
}

void Replace(std::string_view mark, std::string_view with, std::string* text) {
  const size_t at = text->find(mark);
  HALCYON_CHECK(at != std::string::npos);
  text->replace(at, mark.size(), with);
}

}  // namespace

const std::string& PageHtml() {
  static const auto* page = [] {
    auto* text = new std::string(kPageHtmlFile);
    Replace("{{style}}", kPageStyle, text);
    Replace("{{script}}", kPageScript, text);
    return text;
  }();
  return *page;
}

const std::string& ContentSecurityPolicy() {
  static const auto* policy =
      new std::string("default-src 'none'; style-src " + Source(kPageStyle) + "; script-src " +
                      Source(kPageScript) +
                      "; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
                      "frame-ancestors 'none'");
  return *policy;
}

}  // namespace halcyon::coordinator
