#include "pipeline/quote_bytes.h"

#include <cstdint>

namespace halcyon::pipeline {

std::string QuoteBytes(std::string_view bytes, size_t bytes_max) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string quoted = "\"";
  for (const char c : bytes.substr(0, bytes_max)) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte >= 0x20 && byte < 0x7F) {
      quoted += c;
    } else {
      quoted += "\\x";
      quoted += kDigits[byte >> 4];
      quoted += kDigits[byte & 15];
    }
  }
  return quoted + (bytes.size() > bytes_max ? "\"..." : "\"");
}

}  // namespace halcyon::pipeline
