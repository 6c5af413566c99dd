// argmax over v of rows[r] . table[v] by a block of lanes that share a tile of the product: what a
// block of the GPU runs (worker/cuda/). The product never leaves the lanes.
//
// A block is a copyable type with
//   int index() const;                                this lane of kArgmaxLanes
//   void Sync() const;                                all lanes wait for each other
//   void RaiseTo(uint64_t* place, uint64_t) const;    atomic maximum
#ifndef HALCYON_MODEL_ARGMAX_TILE_H_
#define HALCYON_MODEL_ARGMAX_TILE_H_

#include <cstdint>
#include <cstring>

#include "base/host_device.h"

namespace halcyon::model {

// A tile of 64 x 64 results; each of the 64 lanes holds 8 x 8 of them.
inline constexpr int kArgmaxPart = 8;
inline constexpr int kArgmaxTile = 64;
inline constexpr int kArgmaxLanes = 64;
// How much of the sum the block keeps in its shared memory at a time.
inline constexpr int kArgmaxDepth = 16;

// Orders candidates like at::argmax: the larger value, then the lower index; a NaN above all. Every
// key is larger than 0.
HALCYON_HOST_DEVICE inline uint64_t ArgmaxKey(float value, uint32_t index) {
  uint32_t bits = 0;
  const float positive_zero = value == 0 ? 0.0f : value;
  std::memcpy(&bits, &positive_zero, sizeof(bits));
  const uint32_t order = value != value ? ~0u : bits >> 31 ? ~bits : bits | 0x80000000u;
  return static_cast<uint64_t>(order) << 32 | static_cast<uint32_t>(~index);
}

HALCYON_HOST_DEVICE inline int64_t IndexOfArgmaxKey(uint64_t key) {
  return static_cast<uint32_t>(~static_cast<uint32_t>(key));
}

struct ArgmaxProblem {
  const float* rows;   // [row_count, width]
  const float* table;  // [vocab, width]
  int64_t row_count;
  int64_t vocab;  // below 2^32
  int64_t width;
};

struct ArgmaxShared {
  float rows[kArgmaxDepth][kArgmaxTile];
  float table[kArgmaxDepth][kArgmaxTile];
};

// kArgmaxTile rows from `first` on, `depth` numbers of each from `from` on; zeros beyond the end.
template <typename Block>
HALCYON_HOST_DEVICE inline void LoadArgmaxTile(const Block& block, const float* rows, int64_t count,
                                               int64_t width, int64_t first, int64_t from,
                                               float (&tile)[kArgmaxDepth][kArgmaxTile]) {
  for (int i = block.index(); i < kArgmaxDepth * kArgmaxTile; i += kArgmaxLanes) {
    const int row = i / kArgmaxDepth, depth = i % kArgmaxDepth;
    const bool inside = first + row < count && from + depth < width;
    tile[depth][row] = inside ? rows[(first + row) * width + from + depth] : 0.0f;
  }
}

// Raises keys[r] of the kArgmaxTile rows from `first_row` on to the best of the table's rows
// [first_column, last_column).
template <typename Block>
HALCYON_HOST_DEVICE inline void ArgmaxOfTile(const Block& block, const ArgmaxProblem& problem,
                                             int64_t first_row, int64_t first_column,
                                             int64_t last_column, ArgmaxShared& shared,
                                             uint64_t* keys) {
  const int my_row = block.index() / kArgmaxPart * kArgmaxPart;
  const int my_column = block.index() % kArgmaxPart * kArgmaxPart;
  uint64_t best[kArgmaxPart] = {};
  for (int64_t column = first_column; column < last_column; column += kArgmaxTile) {
    float sums[kArgmaxPart][kArgmaxPart] = {};
    for (int64_t from = 0; from < problem.width; from += kArgmaxDepth) {
      LoadArgmaxTile(block, problem.rows, problem.row_count, problem.width, first_row, from,
                     shared.rows);
      LoadArgmaxTile(block, problem.table, problem.vocab, problem.width, column, from,
                     shared.table);
      block.Sync();
      for (int depth = 0; depth < kArgmaxDepth; ++depth) {
        for (int r = 0; r < kArgmaxPart; ++r) {
          for (int c = 0; c < kArgmaxPart; ++c) {
            sums[r][c] += shared.rows[depth][my_row + r] * shared.table[depth][my_column + c];
          }
        }
      }
      block.Sync();
    }
    for (int r = 0; r < kArgmaxPart; ++r) {
      for (int c = 0; c < kArgmaxPart; ++c) {
        const int64_t index = column + my_column + c;
        if (index >= last_column) continue;
        const uint64_t key = ArgmaxKey(sums[r][c], static_cast<uint32_t>(index));
        if (key > best[r]) best[r] = key;
      }
    }
  }
  for (int r = 0; r < kArgmaxPart; ++r) {
    const int64_t row = first_row + my_row + r;
    if (row < problem.row_count) block.RaiseTo(keys + row, best[r]);
  }
}

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_ARGMAX_TILE_H_
