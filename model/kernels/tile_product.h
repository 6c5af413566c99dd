// Small matrix products on the CPU, a tile at a time.
#ifndef HALCYON_MODEL_KERNELS_TILE_PRODUCT_H_
#define HALCYON_MODEL_KERNELS_TILE_PRODUCT_H_

#include <cstdint>

namespace halcyon::model {

// A tile's sums fill the registers of AVX2.
inline constexpr int64_t kTileRows = 6, kTileColumns = 16;

// The left factor of a tile: element (r, k) lies at r * row + k * step.
struct LeftFactor {
  const float* values;
  int64_t row, step;
};

// out = or += left * panel. out: [kTileRows, kTileColumns], rows `stride` apart; panel: [depth,
// kTileColumns], dense. Sums run over the depth in order; products are contracted with additions
// where the processor has FMA.
void MultiplyTile(LeftFactor left, const float* panel, int64_t depth, bool adds, float* out,
                  int64_t stride);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_KERNELS_TILE_PRODUCT_H_
