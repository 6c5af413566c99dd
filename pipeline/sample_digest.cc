#include "pipeline/sample_digest.h"

#include <xxhash.h>

#include <bit>

#include "base/check.h"

namespace halcyon::pipeline {
namespace {

using storage::Digest128;

static_assert(std::endian::native == std::endian::little);

using Wide = unsigned __int128;  // wraps around as a sum modulo 2^128 does

constexpr size_t kParts = 4;  // of a sum, of 32 bits each
constexpr size_t kPartBits = 32;

Wide ToWide(const Digest128& digest) { return Wide{digest[0]} << 64 | digest[1]; }

Digest128 FromWide(Wide sum) {
  return {static_cast<uint64_t>(sum >> 64), static_cast<uint64_t>(sum)};
}

Digest128 Hash(const void* bytes, size_t size) {
  const XXH128_hash_t hash = XXH3_128bits(bytes, size);
  return {hash.high64, hash.low64};
}

template <size_t N>
Digest128 Hash(const std::array<uint64_t, N>& numbers) {
  return Hash(numbers.data(), sizeof(numbers));
}

void AddTo(Digest128* sum, const Digest128& more) { *sum = FromWide(ToWide(*sum) + ToWide(more)); }

void Cut(const Digest128& sum, double* parts) {
  for (size_t i = 0; i < kParts; ++i) {
    parts[i] = static_cast<double>(static_cast<uint32_t>(ToWide(sum) >> (kPartBits * i)));
  }
}

// The parts may have more than 32 bits, being sums.
Digest128 Join(const double* parts) {
  Wide sum = 0;
  for (size_t i = 0; i < kParts; ++i) {
    sum += Wide{static_cast<uint64_t>(parts[i])} << (kPartBits * i);
  }
  return FromWide(sum);
}

}  // namespace

void SampleDigest::Add(uint64_t step, uint64_t place, uint64_t item) {
  ++samples_;
  AddTo(&items_, Hash(std::array{step, place, item}));
}

void SampleDigest::AddText(uint64_t step, uint64_t place, std::string_view ids) {
  const Digest128 of_ids = Hash(ids.data(), ids.size());
  AddTo(&text_, Hash(std::array{step, place, of_ids[0], of_ids[1]}));
}

void SampleDigest::Add(const SampleDigest& other) {
  samples_ += other.samples_;
  AddTo(&items_, other.items_);
  AddTo(&text_, other.text_);
}

std::array<double, SampleDigest::kSummands> SampleDigest::Summands() const {
  std::array<double, kSummands> summands;
  summands[0] = static_cast<double>(samples_);
  Cut(items_, &summands[1]);
  Cut(text_, &summands[1 + kParts]);
  return summands;
}

SampleDigest SampleDigest::SumOf(std::span<const double> sums) {
  static_assert(kSummands == 1 + 2 * kParts);
  HALCYON_CHECK(sums.size() == kSummands);
  SampleDigest digest;
  digest.samples_ = static_cast<uint64_t>(sums[0]);
  digest.items_ = Join(&sums[1]);
  digest.text_ = Join(&sums[1 + kParts]);
  return digest;
}

}  // namespace halcyon::pipeline
