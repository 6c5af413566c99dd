// What the CPU's kernels of rows have in common: parts of vectors, sums, and the exponential of a
// softmax.
#ifndef HALCYON_MODEL_KERNELS_ROW_LANES_H_
#define HALCYON_MODEL_KERNELS_ROW_LANES_H_

#include <c10/util/BFloat16.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>

#include "model/energy/energy_lanes.h"
#include "model/kernels/exponential.h"

namespace halcyon::model {

using Words = uint32_t __attribute__((vector_size(32)));
using Halves = uint16_t __attribute__((vector_size(16)));

HALCYON_LANES_INLINE void Load(const c10::BFloat16* from, Floats& to) {
  Halves halves;
  std::memcpy(&halves, from, sizeof(halves));
  const Words bits = __builtin_convertvector(halves, Words) << 16;
  std::memcpy(&to, &bits, sizeof(to));
}

// Rounds to nearest, ties to even, as c10::BFloat16 does.
HALCYON_LANES_INLINE void Store(const Floats& from, c10::BFloat16* to) {
  Words bits;
  std::memcpy(&bits, &from, sizeof(bits));
  const Words rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  const Words kept = from == from ? rounded : Words{} + 0x7fc0;
  const Halves halves = __builtin_convertvector(kept, Halves);
  std::memcpy(to, &halves, sizeof(halves));
}

// Up to eight numbers, float or bfloat16; the rest of the vector is `fill`.
template <typename T>
HALCYON_LANES_INLINE void LoadSome(const T* from, int64_t count, float fill, Floats& to) {
  if (count >= kFloats) return Load(from, to);
  T some[kFloats];
  for (int64_t i = 0; i < kFloats; ++i) some[i] = i < count ? from[i] : static_cast<T>(fill);
  Load(some, to);
}

template <typename T>
HALCYON_LANES_INLINE void StoreSome(const Floats& from, int64_t count, T* to) {
  if (count >= kFloats) return Store(from, to);
  T some[kFloats];
  Store(from, some);
  for (int64_t i = 0; i < count; ++i) to[i] = some[i];
}

template <typename From, typename To>
HALCYON_LANES_INLINE void Convert(const From* from, int64_t count, To* to) {
  Floats numbers;
  for (int64_t i = 0; i < count; i += kFloats) {
    LoadSome(from + i, count - i, 0, numbers);
    StoreSome(numbers, count - i, to + i);
  }
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
