// e^x of eight floats at a time, for the CPU's kernels.
#ifndef HALCYON_MODEL_KERNELS_EXPONENTIAL_H_
#define HALCYON_MODEL_KERNELS_EXPONENTIAL_H_

#include <cstdint>
#include <cstring>

#include "model/energy/energy_lanes.h"

namespace halcyon::model {

using Places = int32_t __attribute__((vector_size(32)));

// Relative error below 2e-7. x is taken as -87 or 88 beyond these; a NaN stays one. Range reduction
// by ln 2 in two parts, then the Taylor polynomial of degree 7 on [-ln 2 / 2, ln 2 / 2].
HALCYON_LANES_INLINE void Exponential(Floats& x) {
  constexpr float kLog2E = 1.44269504f;
  constexpr float kLn2High = 0.693145752f, kLn2Low = 1.42860677e-6f;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: rounds, and leaves the integer below
  const Floats least = Floats{} - 87.0f, most = Floats{} + 88.0f;
  x = x < least ? least : x;
  x = x > most ? most : x;
  const Floats shifted = x * kLog2E + kRound;
  const Floats whole = shifted - kRound;
  const Floats rest = (x - whole * kLn2High) - whole * kLn2Low;
  Floats sum = Floats{} + 1.0f / 5040;
  constexpr float kFactorials[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
  for (const float inverse : kFactorials) sum = sum * rest + inverse;
  Places exponent;
  std::memcpy(&exponent, &shifted, sizeof(exponent));
  exponent = (exponent + 127) << 23;
  Floats power;
  std::memcpy(&power, &exponent, sizeof(power));
  x = sum * power;
}

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_KERNELS_EXPONENTIAL_H_
