#include "pipeline/sources/heldout_split.h"

#include <algorithm>

#include "base/digest.h"

namespace halcyon::pipeline {

bool IsHeldout(std::string_view text, double fraction) {
  return static_cast<double>(Xxh3(text) >> 11) * 0x1.0p-53 < fraction;
}

HeldoutSplit::HeldoutSplit(const jobs::DataSpec& data, const std::string& path)
    : fraction_(std::ranges::find(data.heldout_sources, path) == data.heldout_sources.end()
                    ? data.heldout
                    : 1.0) {}

}  // namespace halcyon::pipeline
