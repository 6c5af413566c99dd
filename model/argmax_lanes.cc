#include "model/argmax_lanes.h"

#include <cmath>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace halcyon::model {
namespace {

void ImprovePlainly(const float* const (&rows)[kArgmaxRows], const ArgmaxEntries& entries,
                    ArgmaxGroup* best) {
  for (int64_t v = 0; v < entries.count; ++v) {
    const float* entry = entries.values + v * entries.width;
    for (int64_t r = 0; r < kArgmaxRows; ++r) {
      float product = 0;
      for (int64_t i = 0; i < entries.width; ++i) product += rows[r][i] * entry[i];
      const bool wins =
          product > best->value[r] || (std::isnan(product) && !std::isnan(best->value[r]));
      if (!wins) continue;
      best->value[r] = product;
      best->index[r] = static_cast<int32_t>(entries.first + v);
    }
  }
}

#if defined(__x86_64__)

#define HALCYON_AVX2 __attribute__((target("avx2,fma")))

constexpr int64_t kFloats = 8;  // in a vector
// Entries at a time: with four rows they fill twelve of the sixteen registers.
constexpr int64_t kEntries = 3;

// The four sums over a vector's numbers, in the order of the arguments.
HALCYON_AVX2 inline __m128 SumsOf(const __m256 (&sums)[kArgmaxRows]) {
  const __m256 pairs =
      _mm256_hadd_ps(_mm256_hadd_ps(sums[0], sums[1]), _mm256_hadd_ps(sums[2], sums[3]));
  return _mm_add_ps(_mm256_castps256_ps128(pairs), _mm256_extractf128_ps(pairs, 1));
}

HALCYON_AVX2 inline __m256i TailMask(int64_t numbers) {
  const __m256i place = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(numbers)), place);
}

// Products of four rows with `count` entries, at most kEntries.
template <int64_t count>
HALCYON_AVX2 inline void Products(const float* const (&rows)[kArgmaxRows], const float* entries,
                                  int64_t width, __m128* products) {
  __m256 sums[count][kArgmaxRows];
  for (auto& entry : sums) {
    for (__m256& sum : entry) sum = _mm256_setzero_ps();
  }
  int64_t i = 0;
  for (; i + kFloats <= width; i += kFloats) {
    __m256 values[count];
    for (int64_t e = 0; e < count; ++e) values[e] = _mm256_loadu_ps(entries + e * width + i);
    for (int64_t r = 0; r < kArgmaxRows; ++r) {
      const __m256 row = _mm256_loadu_ps(rows[r] + i);
      for (int64_t e = 0; e < count; ++e) sums[e][r] = _mm256_fmadd_ps(row, values[e], sums[e][r]);
    }
  }
  if (i < width) {
    const __m256i mask = TailMask(width - i);
    for (int64_t r = 0; r < kArgmaxRows; ++r) {
      const __m256 row = _mm256_maskload_ps(rows[r] + i, mask);
      for (int64_t e = 0; e < count; ++e) {
        const __m256 value = _mm256_maskload_ps(entries + e * width + i, mask);
        sums[e][r] = _mm256_fmadd_ps(row, value, sums[e][r]);
      }
    }
  }
  for (int64_t e = 0; e < count; ++e) products[e] = SumsOf(sums[e]);
}

HALCYON_AVX2 void ImproveInVectors(const float* const (&rows)[kArgmaxRows],
                                   const ArgmaxEntries& entries, ArgmaxGroup* best) {
  __m128 value = _mm_loadu_ps(best->value);
  __m128i index = _mm_loadu_si128(reinterpret_cast<const __m128i*>(best->index));
  for (int64_t v = 0; v < entries.count;) {
    __m128 products[kEntries];
    const float* from = entries.values + v * entries.width;
    const bool is_whole = v + kEntries <= entries.count;
    if (is_whole) {
      Products<kEntries>(rows, from, entries.width, products);
    } else {
      Products<1>(rows, from, entries.width, products);
    }
    const int64_t made = is_whole ? kEntries : 1;
    for (int64_t e = 0; e < made; ++e) {
      const __m128 product = products[e];
      const __m128 first_nan =
          _mm_andnot_ps(_mm_cmpunord_ps(value, value), _mm_cmpunord_ps(product, product));
      const __m128 wins = _mm_or_ps(_mm_cmpgt_ps(product, value), first_nan);
      value = _mm_blendv_ps(value, product, wins);
      const __m128i place = _mm_set1_epi32(static_cast<int>(entries.first + v + e));
      index = _mm_blendv_epi8(index, place, _mm_castps_si128(wins));
    }
    v += made;
  }
  _mm_storeu_ps(best->value, value);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(best->index), index);
}

#endif

}  // namespace

void ImproveArgmax(const float* const (&rows)[kArgmaxRows], const ArgmaxEntries& entries,
                   ArgmaxGroup* best) {
#if defined(__x86_64__)
  static const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (has_avx2) return ImproveInVectors(rows, entries, best);
#endif
  ImprovePlainly(rows, entries, best);
}

}  // namespace halcyon::model
