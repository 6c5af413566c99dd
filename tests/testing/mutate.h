// Damages bytes in ways that often break parsers, from a number: the same in every build.
#ifndef HALCYON_TESTS_TESTING_MUTATE_H_
#define HALCYON_TESTS_TESTING_MUTATE_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/philox.h"

namespace halcyon::testing {

// Mutant number `mutant`: up to four edits, each a bit flipped, bytes removed, bytes repeated, or a
// byte set to one that matters to JSON.
inline std::string Mutate(std::string bytes, uint64_t mutant) {
  static constexpr std::string_view kBytes = "\"{}[],:0129-+.eE\\u \n\xff";
  const PhiloxStream stream(20240917, NoiseStream::kEvaluation, 0, mutant);
  uint64_t draw = 0;
  const uint64_t edits = 1 + stream.Below(draw++, 4);
  for (uint64_t edit = 0; edit < edits && !bytes.empty(); ++edit) {
    const size_t at = stream.Below(draw++, bytes.size());
    const size_t length = std::min<size_t>(bytes.size() - at, 1 + stream.Below(draw++, 24));
    switch (stream.Below(draw++, 4)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << stream.Below(draw++, 8)));
        break;
      case 1:
        bytes.erase(at, length);
        break;
      case 2:
        bytes.insert(at, bytes.substr(at, length));
        break;
      default:
        bytes[at] = kBytes[stream.Below(draw++, kBytes.size())];
    }
  }
  return bytes;
}

}  // namespace halcyon::testing

#endif  // HALCYON_TESTS_TESTING_MUTATE_H_
