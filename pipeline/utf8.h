// Well-formed UTF-8 (Unicode 15, table 3-7), and the replacement of ill-formed sequences.
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

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_UTF8_H_
