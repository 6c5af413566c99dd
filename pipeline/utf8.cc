#include "pipeline/utf8.h"

#include <simdjson.h>

namespace halcyon::pipeline {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Sequence {
  size_t bytes;  // of the character, or of the maximal subpart that can start no character
  bool valid;
};

// How a lead byte continues: the number of bytes after it and the range of the first of them. Later
// ones are always 80..BF.
struct Continuation {
  size_t count = 0;
  uint8_t low = 0x80;
  uint8_t high = 0xBF;
};

Continuation ContinuationOf(uint8_t lead) {
  if (lead >= 0xC2 && lead <= 0xDF) return {1};
  if (lead == 0xE0) return {2, 0xA0, 0xBF};
  if (lead == 0xED) return {2, 0x80, 0x9F};
  if (lead >= 0xE1 && lead <= 0xEF) return {2};
  if (lead == 0xF0) return {3, 0x90, 0xBF};
  if (lead >= 0xF1 && lead <= 0xF3) return {3};
  if (lead == 0xF4) return {3, 0x80, 0x8F};
  return {};
}

// REQUIRES: text is not empty.
Sequence FirstSequence(std::string_view text) {
  const auto lead = static_cast<uint8_t>(text[0]);
  if (lead < 0x80) return {1, true};
  Continuation rest = ContinuationOf(lead);
  if (rest.count == 0) return {1, false};
  for (size_t i = 1; i <= rest.count; ++i) {
    if (i == text.size()) return {i, false};
    const auto byte = static_cast<uint8_t>(text[i]);
    if (byte < rest.low || byte > rest.high) return {i, false};
    rest.low = 0x80;
    rest.high = 0xBF;
  }
  return {rest.count + 1, true};
}

}  // namespace

bool IsValidUtf8(std::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

size_t FirstInvalidUtf8(std::string_view text) {
  if (IsValidUtf8(text)) return std::string_view::npos;
  for (size_t i = 0; i < text.size();) {
    const Sequence sequence = FirstSequence(text.substr(i));
    if (!sequence.valid) return i;
    i += sequence.bytes;
  }
  return std::string_view::npos;
}

std::string ReplaceInvalidUtf8(std::string_view text, uint64_t* replaced) {
  uint64_t count = 0;
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Sequence sequence = FirstSequence(text);
    out += sequence.valid ? text.substr(0, sequence.bytes) : kReplacement;
    count += !sequence.valid;
    text.remove_prefix(sequence.bytes);
  }
  if (replaced != nullptr) *replaced = count;
  return out;
}

}  // namespace halcyon::pipeline
