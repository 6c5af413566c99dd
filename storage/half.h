// IEEE 754 half floats (binary16) and bfloat16, the upper half of a float32, as the latent cache
// stores them: 2 bytes, little-endian. Rounding is to nearest, ties to even; denormals are kept;
// every path gives the same bits.
#ifndef HALCYON_STORAGE_HALF_H_
#define HALCYON_STORAGE_HALF_H_

#include <cstdint>
#include <span>

namespace halcyon::storage {

// One value. Beyond 65519.99... becomes infinity; a NaN stays one, quiet.
uint16_t HalfFromFloat(float value);
float FloatFromHalf(uint16_t half);

// `halves` has 2 bytes for each of `values` and need not be aligned. Uses F16C where there is one.
void EncodeHalves(std::span<const float> values, char* halves);
void DecodeHalves(const char* halves, std::span<float> values);

// Likewise. What is nearer to 2^128 than to the largest bfloat16 becomes infinity.
uint16_t BFloat16FromFloat(float value);
float FloatFromBFloat16(uint16_t value);
void EncodeBFloat16s(std::span<const float> values, char* bytes);
void DecodeBFloat16s(const char* bytes, std::span<float> values);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_HALF_H_
