#include "coordinator/display/progress_line.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace halcyon::coordinator {
namespace {

// Unicode's East Asian Width "wide" and "fullwidth", in whole blocks.
constexpr std::array<std::pair<uint32_t, uint32_t>, 9> kWide = {{{0x1100, 0x115F},
                                                                 {0x2E80, 0xA4CF},
                                                                 {0xAC00, 0xD7A3},
                                                                 {0xF900, 0xFAFF},
                                                                 {0xFE30, 0xFE6F},
                                                                 {0xFF00, 0xFF60},
                                                                 {0xFFE0, 0xFFE6},
                                                                 {0x1F000, 0x1FAFF},
                                                                 {0x20000, 0x3FFFD}}};

// The character that `text` begins with. A byte that is none counts as one of a column.
struct Character {
  size_t bytes = 1;
  size_t columns = 1;
};

Character FirstCharacter(std::string_view text) {
  const auto byte = static_cast<unsigned char>(text[0]);
  const size_t bytes = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
  if (bytes == 1 || bytes > text.size()) return {};
  uint32_t code = byte & (0xFF >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xC0) != 0x80) return {};
    code = code << 6 | (next & 0x3F);
  }
  const bool wide = std::any_of(kWide.begin(), kWide.end(), [code](const auto& range) {
    return code >= range.first && code <= range.second;
  });
  return {bytes, wide ? size_t{2} : size_t{1}};
}

std::string JoinedParts(const std::vector<LinePart>& parts) {
  std::string line;
  for (const LinePart& part : parts) {
    line += (line.empty() || line.back() == ' ' ? "" : "  ") + part.text;
  }
  return line;
}

}  // namespace

size_t ColumnsOf(std::string_view text) {
  size_t columns = 0;
  while (!text.empty()) {
    const Character first = FirstCharacter(text);
    columns += first.columns;
    text.remove_prefix(first.bytes);
  }
  return columns;
}

std::string CutToWidth(std::string_view text, size_t width) {
  std::string line;
  size_t columns = 0;
  while (!text.empty()) {
    const Character first = FirstCharacter(text);
    if ((columns += first.columns) > width) break;
    const auto byte = static_cast<unsigned char>(text[0]);
    const bool c1 = byte == 0xC2 && first.bytes == 2 && static_cast<unsigned char>(text[1]) < 0xA0;
    const bool control = byte < 0x20 || byte == 0x7F || c1;
    line += control ? " " : text.substr(0, first.bytes);
    text.remove_prefix(first.bytes);
  }
  return line;
}

std::string JoinToWidth(std::vector<LinePart> parts, size_t width) {
  std::erase_if(parts, [](const LinePart& part) { return part.text.empty(); });
  while (ColumnsOf(JoinedParts(parts)) > width) {
    const auto least =
        std::min_element(parts.begin(), parts.end(),
                         [](const LinePart& a, const LinePart& b) { return a.rank < b.rank; });
    if (least == parts.end() || least->rank == kAlwaysShown) break;
    parts.erase(least);
  }
  std::string line = JoinedParts(parts);
  if (ColumnsOf(line) <= width) return CutToWidth(line, width);
  line.clear();
  for (const LinePart& part : parts) line += (line.empty() ? "" : " ") + part.narrow;
  return CutToWidth(line, width);
}

}  // namespace halcyon::coordinator
