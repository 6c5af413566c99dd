#include "storage/half.h"

#include <bit>
#include <cstddef>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace halcyon::storage {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr uint32_t kFloatInfinity = 0x7f800000;
constexpr uint32_t kHalfInfinity = 0x7c00;
constexpr int kMantissaDrop = 23 - 10;            // mantissa bits that a half lacks
constexpr uint32_t kRebias = (127 - 15) << 23;    // difference of the exponents' biases
constexpr uint32_t kOverflow = 0x477ff000;        // 65520: halfway from the largest half to 2^16
constexpr uint32_t kSmallestNormal = 0x38800000;  // 2^-14
constexpr float kSmallestDenormal = 0x1p-24f;
// Adding it to a magnitude below 2^-14 leaves a multiple of 2^-24 in the low bits, rounded as the
// processor rounds: to nearest even.
constexpr float kDenormalMagic = 0.5f;

#if defined(__x86_64__)
#define HALCYON_F16C __attribute__((target("avx,f16c")))
constexpr size_t kLanes = 8;

bool HasF16c() {
  static const bool has = [] {
    unsigned int eax, ebx, ecx = 0, edx;
    // The second asks whether the operating system saves the wide registers, too.
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C) != 0 &&
           __builtin_cpu_supports("avx");
  }();
  return has;
}

// Both return how many values they did, a multiple of kLanes.
HALCYON_F16C size_t EncodeWide(std::span<const float> values, char* halves) {
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    const __m128i packed =
        _mm256_cvtps_ph(_mm256_loadu_ps(values.data() + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(halves + 2 * i), packed);
  }
  return i;
}

HALCYON_F16C size_t DecodeWide(const char* halves, std::span<float> values) {
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    const __m128i packed = _mm_loadu_si128(reinterpret_cast<const __m128i*>(halves + 2 * i));
    _mm256_storeu_ps(values.data() + i, _mm256_cvtph_ps(packed));
  }
  return i;
}
#else
bool HasF16c() { return false; }
size_t EncodeWide(std::span<const float>, char*) { return 0; }
size_t DecodeWide(const char*, std::span<float>) { return 0; }
#endif

}  // namespace

uint16_t HalfFromFloat(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000;
  const uint32_t magnitude = bits & 0x7fffffff;
  uint32_t half;
  if (magnitude > kFloatInfinity) {
    half = kHalfInfinity | 0x200 | ((magnitude >> kMantissaDrop) & 0x3ff);
  } else if (magnitude >= kOverflow) {
    half = kHalfInfinity;
  } else if (magnitude < kSmallestNormal) {
    half = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + kDenormalMagic) -
           std::bit_cast<uint32_t>(kDenormalMagic);
  } else {
    // Half of the dropped part, less one where the kept part is even: ties go to even. A carry
    // into the exponent gives the next power of two, as it should.
    const uint32_t odd = (magnitude >> kMantissaDrop) & 1;
    half = (magnitude - kRebias + 0xfff + odd) >> kMantissaDrop;
  }
  return static_cast<uint16_t>(sign | half);
}

float FloatFromHalf(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t magnitude = half & 0x7fff;
  uint32_t bits;
  if (magnitude > kHalfInfinity) {
    bits = kFloatInfinity | 0x400000 | (magnitude << kMantissaDrop);
  } else if (magnitude == kHalfInfinity) {
    bits = kFloatInfinity;
  } else if (magnitude < 0x400) {
    bits = std::bit_cast<uint32_t>(static_cast<float>(magnitude) * kSmallestDenormal);
  } else {
    bits = (magnitude << kMantissaDrop) + kRebias;
  }
  return std::bit_cast<float>(sign | bits);
}

void EncodeHalves(std::span<const float> values, char* halves) {
  for (size_t i = HasF16c() ? EncodeWide(values, halves) : 0; i < values.size(); ++i) {
    const uint16_t half = HalfFromFloat(values[i]);
    std::memcpy(halves + 2 * i, &half, sizeof(half));
  }
}

void DecodeHalves(const char* halves, std::span<float> values) {
  for (size_t i = HasF16c() ? DecodeWide(halves, values) : 0; i < values.size(); ++i) {
    uint16_t half;
    std::memcpy(&half, halves + 2 * i, sizeof(half));
    values[i] = FloatFromHalf(half);
  }
}

// Without a branch, so that loops over it become vector instructions.
uint16_t BFloat16FromFloat(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const bool is_nan = (bits & 0x7fffffff) > kFloatInfinity;
  // Half of the dropped part, less one where the kept part is even.
  const uint32_t rounded = bits + 0x7fff + ((bits >> 16) & 1);
  return static_cast<uint16_t>((is_nan ? bits | 0x400000 : rounded) >> 16);
}

float FloatFromBFloat16(uint16_t value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value) << 16);
}

void EncodeBFloat16s(std::span<const float> values, char* bytes) {
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t value = BFloat16FromFloat(values[i]);
    std::memcpy(bytes + 2 * i, &value, sizeof(value));
  }
}

void DecodeBFloat16s(const char* bytes, std::span<float> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t value;
    std::memcpy(&value, bytes + 2 * i, sizeof(value));
    values[i] = FloatFromBFloat16(value);
  }
}

}  // namespace halcyon::storage
