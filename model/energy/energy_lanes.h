// Vector arithmetic of the CPU's energy kernel. Rows are padded with zeros to whole multiples of
// kLanes numbers. No multiplication is contracted with an addition and every sum has one fixed
// order, so the bits are the same whichever instructions a function is compiled to.
#ifndef HALCYON_MODEL_ENERGY_ENERGY_LANES_H_
#define HALCYON_MODEL_ENERGY_ENERGY_LANES_H_

#include <cstdint>
#include <cstring>

// One version of a function for every x86 processor and one for those with AVX2; the loader picks.
#if defined(__x86_64__) && defined(__gnu_linux__)
#define HALCYON_VECTOR_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define HALCYON_VECTOR_CLONES
#endif
// A clone's helpers have to be part of it.
#define HALCYON_LANES_INLINE [[gnu::always_inline]] inline

namespace halcyon::model {

using Floats = float __attribute__((vector_size(32)));
using Doubles = double __attribute__((vector_size(32)));
using Integers = int64_t __attribute__((vector_size(32)));

inline constexpr int64_t kFloats = 8;
inline constexpr int64_t kDoubles = 4;
// Two vectors at a time: additions wait for each other.
inline constexpr int64_t kLanes = 2 * kFloats;

inline int64_t PaddedTo(int64_t size, int64_t multiple) {
  return (size + multiple - 1) / multiple * multiple;
}

// Vectors travel by reference: how they are passed by value depends on the instruction set.
HALCYON_LANES_INLINE void Load(const float* from, Floats& to) {
  std::memcpy(&to, from, sizeof(to));
}
HALCYON_LANES_INLINE void Store(const Floats& from, float* to) {
  std::memcpy(to, &from, sizeof(from));
}

HALCYON_LANES_INLINE float SumOf(const Floats& even, const Floats& odd) {
  const Floats both = even + odd;
  return ((both[0] + both[4]) + (both[2] + both[6])) + ((both[1] + both[5]) + (both[3] + both[7]));
}

HALCYON_LANES_INLINE float Dot(const float* a, const float* b, int64_t padded) {
  Floats sums[2] = {}, left, right;
  for (int64_t i = 0; i < padded; i += kLanes) {
    for (int64_t half = 0; half < 2; ++half) {
      Load(a + i + half * kFloats, left);
      Load(b + i + half * kFloats, right);
      sums[half] += left * right;
    }
  }
  return SumOf(sums[0], sums[1]);
}

HALCYON_LANES_INLINE float SquaredDistance(const float* a, const float* b, int64_t padded) {
  Floats sums[2] = {}, left, right;
  for (int64_t i = 0; i < padded; i += kLanes) {
    for (int64_t half = 0; half < 2; ++half) {
      Load(a + i + half * kFloats, left);
      Load(b + i + half * kFloats, right);
      left -= right;
      sums[half] += left * left;
    }
  }
  return SumOf(sums[0], sums[1]);
}

// to += factor * from.
HALCYON_LANES_INLINE void AddScaled(const float* from, float factor, int64_t padded, float* to) {
  Floats change, value;
  for (int64_t i = 0; i < padded; i += kFloats) {
    Load(from + i, change);
    Load(to + i, value);
    value += factor * change;
    Store(value, to + i);
  }
}

// e^x for x <= 0, to 14 digits; below -700 it is e^-700. The C library's exp takes one number at a
// time, and half of the kernel's time with it.
HALCYON_LANES_INLINE void Exponential(Doubles& x) {
  constexpr double kLog2E = 1.4426950408889634;
  constexpr double kLn2High = 0.693147180369123816490, kLn2Low = 1.90821492927058770002e-10;
  constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52: rounds, and leaves the integer below
  const Doubles least = Doubles{} - 700.0;
  x = x < least ? least : x;
  const Doubles shifted = x * kLog2E + kRound;
  const Doubles whole = shifted - kRound;
  const Doubles rest = (x - whole * kLn2High) - whole * kLn2Low;
  Doubles sum = Doubles{} + 1.0 / 39916800;
  constexpr double kFactorials[] = {1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
                                    1.0 / 720,     1.0 / 120,    1.0 / 24,    1.0 / 6,
                                    1.0 / 2,       1.0,          1.0};
  for (const double inverse : kFactorials) sum = sum * rest + inverse;
  Integers bits, exponent;
  std::memcpy(&bits, &sum, sizeof(bits));
  std::memcpy(&exponent, &shifted, sizeof(exponent));
  bits += exponent << 52;
  std::memcpy(&x, &bits, sizeof(bits));
}

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_ENERGY_ENERGY_LANES_H_
