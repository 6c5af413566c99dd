#include "pipeline/heldout_split.h"

#include "base/digest.h"

namespace halcyon::pipeline {

bool IsHeldout(std::string_view text, double fraction) {
  return static_cast<double>(Xxh3(text) >> 11) * 0x1.0p-53 < fraction;
}

}  // namespace halcyon::pipeline
