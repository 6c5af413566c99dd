// The arithmetic of Philox, for both sides of a CUDA compiler: a counter's four integers, and what
// uniform and normal numbers are made of them.
#ifndef HALCYON_BASE_PHILOX_NUMBERS_H_
#define HALCYON_BASE_PHILOX_NUMBERS_H_

#include <cmath>
#include <cstdint>

#include "base/host_device.h"

namespace halcyon {

inline constexpr uint64_t kNumbersPerPhiloxBlock = 4;

struct PhiloxBlock {
  uint32_t number[kNumbersPerPhiloxBlock];
};

struct PhiloxKey {
  uint32_t word[2];
};

// The ten rounds of Philox4x32 on one counter.
HALCYON_HOST_DEVICE inline PhiloxBlock PhiloxRounds(PhiloxBlock counter, PhiloxKey key) {
  uint32_t* c = counter.number;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * c[2];
    counter = {{static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ key.word[0], static_cast<uint32_t>(p1),
                static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ key.word[1], static_cast<uint32_t>(p0)}};
    key.word[0] += 0x9E3779B9u;
    key.word[1] += 0xBB67AE85u;
  }
  return counter;
}

// The counter of a stream's numbers 4 * block ... 4 * block + 3.
HALCYON_HOST_DEVICE inline PhiloxBlock PhiloxCounter(uint64_t block, uint32_t step,
                                                     uint32_t sample) {
  return {{static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), step, sample}};
}

// Uniform on [0, 1): the upper 24 bits.
HALCYON_HOST_DEVICE inline float PhiloxUniform(uint32_t bits) {
  return static_cast<float>(bits >> 8) * (1.0f / 16777216.0f);
}

// Sine and cosine of an angle in [0, 2 pi) as the C library makes them in float: polynomials in
// double by S. Nagy for Arm's optimized routines (glibc 2.28 and later). With them normal numbers
// of a device stay close to the CPU's.
HALCYON_HOST_DEVICE inline void PhiloxSineCosine(float angle, float* sine, float* cosine) {
  const int quarter = (static_cast<int32_t>(angle * 0x1.45F306DC9C883p+23) + 0x800000) >> 24;
  const double x = angle - quarter * 0x1.921FB54442D18p0;
  const double x2 = x * x, x3 = x * x2, x4 = x2 * x2;
  const double s = x + x3 * -0x1.555545995a603p-3 +
                   x3 * x2 * (0x1.1107605230bc4p-7 + x2 * -0x1.994eb3774cf24p-13);
  const double c = 1.0 + x2 * -0x1.ffffffd0c621cp-2 + x4 * 0x1.55553e1068f19p-5 +
                   x4 * x2 * (-0x1.6c087e89a359dp-10 + x2 * 0x1.99343027bf8c3p-16);
  const bool swaps = quarter & 1;
  const float sine_of = static_cast<float>(swaps ? c : s);
  const float cosine_of = static_cast<float>(swaps ? s : c);
  *sine = quarter & 2 ? -sine_of : sine_of;
  *cosine = (quarter + 1) & 2 ? -cosine_of : cosine_of;
}

// Box-Muller as PhiloxStream::FillNormal has it. Within 2 units in the last place of it: the
// logarithm is that of double, rounded, since a GPU's own is further from the C library's.
HALCYON_HOST_DEVICE inline void PhiloxNormals(const uint32_t bits[2], float normals[2]) {
  const double logarithm = log(static_cast<double>(1.0f - PhiloxUniform(bits[0])));
  const float radius = sqrtf(-2.0f * static_cast<float>(logarithm));
  float sine = 0, cosine = 0;
  PhiloxSineCosine(6.28318530717958647692f * PhiloxUniform(bits[1]), &sine, &cosine);
  normals[0] = radius * cosine;
  normals[1] = radius * sine;
}

// What a thread of a device makes of a row: the four numbers of `counter`, those of them that are
// among numbers first ... first + width - 1 of the stream, written to out [width].
template <bool kIsNormal>
HALCYON_HOST_DEVICE inline void FillFromCounter(uint64_t counter, PhiloxKey key, uint32_t step,
                                                uint32_t sample, uint64_t first, int64_t width,
                                                float* out) {
  const PhiloxBlock bits = PhiloxRounds(PhiloxCounter(counter, step, sample), key);
  float numbers[kNumbersPerPhiloxBlock];
  if (kIsNormal) {
    PhiloxNormals(bits.number, numbers);
    PhiloxNormals(bits.number + 2, numbers + 2);
  } else {
    for (int i = 0; i < 4; ++i) numbers[i] = PhiloxUniform(bits.number[i]);
  }
  const int64_t place = static_cast<int64_t>(counter * kNumbersPerPhiloxBlock - first);
  for (int i = 0; i < 4; ++i) {
    if (place + i >= 0 && place + i < width) out[place + i] = numbers[i];
  }
}

}  // namespace halcyon

#endif  // HALCYON_BASE_PHILOX_NUMBERS_H_
