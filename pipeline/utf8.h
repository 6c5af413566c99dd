// Well-formed UTF-8 (Unicode 15, table 3-7), its code points, and the replacement of ill-formed
// sequences.
#ifndef HALCYON_PIPELINE_UTF8_H_
#define HALCYON_PIPELINE_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace halcyon::pipeline {

bool IsValidUtf8(std::string_view text);

// Byte offset of the first ill-formed sequence; npos when there is none.
size_t FirstInvalidUtf8(std::string_view text);

// `text` with each maximal subpart of an ill-formed sequence replaced by one U+FFFD, as the Unicode
// standard recommends (section 3.9). `replaced`, unless null, receives their number.
std::string ReplaceInvalidUtf8(std::string_view text, uint64_t* replaced = nullptr);

// The code point at `at` of well-formed UTF-8, which moves past it. REQUIRES: at < text.size().
inline char32_t NextCodePoint(std::string_view text, size_t* at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(*at);
  const int more = first < 0x80 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
  char32_t point = more == 0 ? first : first & (0x3Fu >> more);
  for (int i = 1; i <= more; ++i) point = point << 6 | (byte(*at + i) & 0x3Fu);
  *at += static_cast<size_t>(more) + 1;
  return point;
}

// REQUIRES: a Unicode scalar value.
inline void AppendUtf8(char32_t point, std::string* text) {
  const auto put = [text](char32_t byte) { *text += static_cast<char>(byte); };
  if (point < 0x80) return put(point);
  if (point < 0x800) {
    put(0xC0 | point >> 6);
  } else {
    if (point < 0x10000) {
      put(0xE0 | point >> 12);
    } else {
      put(0xF0 | point >> 18);
      put(0x80 | (point >> 12 & 0x3F));
    }
    put(0x80 | (point >> 6 & 0x3F));
  }
  put(0x80 | (point & 0x3F));
}

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_UTF8_H_
