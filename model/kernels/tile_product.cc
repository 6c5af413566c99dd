#include "model/kernels/tile_product.h"

#include "model/energy/energy_lanes.h"

// One version of a function for processors with FMA; the loader picks.
#if defined(__x86_64__) && defined(__gnu_linux__)
#define HALCYON_FMA_CLONES __attribute__((target_clones("fma", "default")))
#else
#define HALCYON_FMA_CLONES
#endif

namespace halcyon::model {

static_assert(kTileColumns == 2 * kFloats);

HALCYON_FMA_CLONES void MultiplyTile(LeftFactor left, const float* panel, int64_t depth, bool adds,
                                     float* out, int64_t stride) {
  Floats sums[kTileRows][2] = {};
  if (adds) {
    for (int64_t r = 0; r < kTileRows; ++r) {
      Load(out + r * stride, sums[r][0]);
      Load(out + r * stride + kFloats, sums[r][1]);
    }
  }
  for (int64_t k = 0; k < depth; ++k) {
    Floats low, high;
    Load(panel + k * kTileColumns, low);
    Load(panel + k * kTileColumns + kFloats, high);
    const float* const column = left.values + k * left.step;
#pragma GCC unroll 6
    for (int64_t r = 0; r < kTileRows; ++r) {
      const float factor = column[r * left.row];
      sums[r][0] += factor * low;
      sums[r][1] += factor * high;
    }
  }
  for (int64_t r = 0; r < kTileRows; ++r) {
    Store(sums[r][0], out + r * stride);
    Store(sums[r][1], out + r * stride + kFloats);
  }
}

}  // namespace halcyon::model
