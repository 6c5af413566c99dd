#include "pipeline/samples/sample_digest.h"

#include <xxhash.h>

#include <bit>
#include <iterator>

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

// In the order of the summands.
constexpr Digest128 storage::PlaceSums::*kKinds[] = {
    &storage::PlaceSums::items, &storage::PlaceSums::text, &storage::PlaceSums::latents};

Wide Difference(const Digest128& found, const Digest128& expected) {
  return ToWide(found) - ToWide(expected);
}

}  // namespace

void SampleDigest::AddTerm(uint64_t place, const Digest128& term,
                           Digest128 storage::PlaceSums::*kind) {
  AddTo(&(sums_.*kind), term);
  AddTo(&(by_place_.*kind), FromWide(ToWide(term) * (Wide{place} + 1)));
}

void SampleDigest::Add(uint64_t step, uint64_t place, uint64_t item) {
  ++samples_;
  AddTerm(place, Hash(std::array{step, place, item}), &storage::PlaceSums::items);
}

void SampleDigest::AddText(uint64_t step, uint64_t place, std::string_view ids) {
  const Digest128 of_ids = Hash(ids.data(), ids.size());
  AddTerm(place, Hash(std::array{step, place, of_ids[0], of_ids[1]}), &storage::PlaceSums::text);
}

void SampleDigest::AddLatents(uint64_t step, uint64_t place, std::string_view means,
                              std::string_view log_stds) {
  ++with_latents_;
  const Digest128 mean = Hash(means.data(), means.size());
  const Digest128 log_std = Hash(log_stds.data(), log_stds.size());
  AddTerm(place, Hash(std::array{step, place, mean[0], mean[1], log_std[0], log_std[1]}),
          &storage::PlaceSums::latents);
}

void SampleDigest::Add(const SampleDigest& other) {
  samples_ += other.samples_;
  with_latents_ += other.with_latents_;
  for (const auto kind : kKinds) {
    AddTo(&(sums_.*kind), other.sums_.*kind);
    AddTo(&(by_place_.*kind), other.by_place_.*kind);
  }
}

std::optional<Digest128> SampleDigest::latents() const {
  return samples_ > 0 && with_latents_ == samples_ ? std::optional(sums_.latents) : std::nullopt;
}

storage::StepSamples SampleDigest::Recorded(uint64_t step) const {
  return {step, samples_, sums_.items, sums_.text, latents(), by_place_};
}

std::array<double, SampleDigest::kSummands> SampleDigest::Summands() const {
  std::array<double, kSummands> summands;
  summands[0] = static_cast<double>(samples_);
  summands[1] = static_cast<double>(with_latents_);
  double* next = &summands[2];
  for (const auto kind : kKinds) {
    Cut(sums_.*kind, next);
    Cut(by_place_.*kind, next + kParts);
    next += 2 * kParts;
  }
  return summands;
}

SampleDigest SampleDigest::SumOf(std::span<const double> sums) {
  static_assert(kSummands == 2 + 2 * kParts * std::size(kKinds));
  HALCYON_CHECK(sums.size() == kSummands);
  SampleDigest digest;
  digest.samples_ = static_cast<uint64_t>(sums[0]);
  digest.with_latents_ = static_cast<uint64_t>(sums[1]);
  const double* next = &sums[2];
  for (const auto kind : kKinds) {
    digest.sums_.*kind = Join(next);
    digest.by_place_.*kind = Join(next + kParts);
    next += 2 * kParts;
  }
  return digest;
}

std::optional<uint64_t> OnlyDifferentPlace(const SumAndByPlace& expected,
                                           const SumAndByPlace& found, uint64_t batch) {
  const Wide difference = Difference(found.sum, expected.sum);
  const Wide by_place = Difference(found.by_place, expected.by_place);
  if (difference == 0) return std::nullopt;
  for (uint64_t place = 0; place < batch; ++place) {
    if (difference * (Wide{place} + 1) == by_place) return place;
  }
  return std::nullopt;
}

std::optional<uint64_t> ItemInstead(uint64_t step, uint64_t place, uint64_t item,
                                    const Digest128& expected, const Digest128& found,
                                    uint64_t items_end) {
  const Digest128 wanted =
      FromWide(ToWide(Hash(std::array{step, place, item})) + Difference(found, expected));
  for (uint64_t other = 0; other < items_end; ++other) {
    if (Hash(std::array{step, place, other}) == wanted) return other;
  }
  return std::nullopt;
}

}  // namespace halcyon::pipeline
