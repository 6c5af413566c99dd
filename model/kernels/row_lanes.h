// What the CPU's kernels of rows have in common: parts of vectors, sums, and the exponential of a
// softmax.
#ifndef HALCYON_MODEL_KERNELS_ROW_LANES_H_
#define HALCYON_MODEL_KERNELS_ROW_LANES_H_

#include <algorithm>
#include <cstdint>
#include <limits>

#include "model/energy/energy_lanes.h"
#include "model/kernels/exponential.h"

namespace halcyon::model {

// Up to eight floats; the rest of the vector is `fill`.
HALCYON_LANES_INLINE void LoadSome(const float* from, int64_t count, float fill, Floats& to) {
  if (count >= kFloats) return Load(from, to);
  float some[kFloats];
  for (int64_t i = 0; i < kFloats; ++i) some[i] = i < count ? from[i] : fill;
  Load(some, to);
}

HALCYON_LANES_INLINE void StoreSome(const Floats& from, int64_t count, float* to) {
  if (count >= kFloats) return Store(from, to);
  float some[kFloats];
  Store(from, some);
  for (int64_t i = 0; i < count; ++i) to[i] = some[i];
}

HALCYON_LANES_INLINE float SumOfProducts(const float* a, const float* b, int64_t width) {
  Floats sums[2] = {}, left, right;
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) {
    for (int64_t half = 0; half < 2; ++half) {
      Load(a + i + half * kFloats, left);
      Load(b + i + half * kFloats, right);
      sums[half] += left * right;
    }
  }
  for (; i < width; i += kFloats) {
    LoadSome(a + i, width - i, 0, left);
    LoadSome(b + i, width - i, 0, right);
    sums[0] += left * right;
  }
  return SumOf(sums[0], sums[1]);
}

// The largest number of a row; a NaN of it is not seen here but makes the sum of e^x one.
HALCYON_LANES_INLINE float LargestOf(const float* row, int64_t width) {
  const float lowest = -std::numeric_limits<float>::infinity();
  Floats best = Floats{} + lowest, next;
  for (int64_t i = 0; i < width; i += kFloats) {
    LoadSome(row + i, width - i, lowest, next);
    best = next > best ? next : best;
  }
  float largest = best[0];
  for (int64_t i = 1; i < kFloats; ++i) largest = std::max(largest, best[i]);
  return largest;
}

// row becomes e^(row - largest); returns the sum.
HALCYON_LANES_INLINE float ExponentialOfRow(float largest, int64_t width, float* row) {
  Floats sums[2] = {}, x;
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) {
    for (int64_t half = 0; half < 2; ++half) {
      Load(row + i + half * kFloats, x);
      x -= largest;
      Exponential(x);
      Store(x, row + i + half * kFloats);
      sums[half] += x;
    }
  }
  float sum = SumOf(sums[0], sums[1]);
  for (; i < width; i += kFloats) {
    LoadSome(row + i, width - i, 0, x);
    x -= largest;
    Exponential(x);
    StoreSome(x, width - i, row + i);
    for (int64_t lane = 0; lane < std::min(kFloats, width - i); ++lane) sum += x[lane];
  }
  return sum;
}

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_KERNELS_ROW_LANES_H_
