// One line of a terminal: how wide text is, and what of it is shown when there is little room.
// Pure.
#ifndef HALCYON_COORDINATOR_DISPLAY_PROGRESS_LINE_H_
#define HALCYON_COORDINATOR_DISPLAY_PROGRESS_LINE_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon::coordinator {

// Columns that UTF-8 text takes: two for the characters of East Asian scripts and for pictographs.
size_t ColumnsOf(std::string_view text);

// Cut to `width` columns, not within a character; control characters become spaces.
std::string CutToWidth(std::string_view text, size_t width);

struct LinePart {
  std::string text;
  // Where a part with a higher number stays, one with a lower is left out. kAlwaysShown: never.
  int rank = 0;
  std::string narrow = "";  // of a part that is always shown: how it reads where there is no room
};
inline constexpr int kAlwaysShown = 1000;

// The parts that fit, in their order, divided by two spaces, or by those that a part ends with.
// When not even those that are always shown fit, they take their narrow form, divided by one space.
std::string JoinToWidth(std::vector<LinePart> parts, size_t width);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_DISPLAY_PROGRESS_LINE_H_
