#include "pipeline/samples/mixture_order.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "base/philox.h"
#include "jobs/mixture.h"

namespace halcyon::pipeline {
namespace {

constexpr uint64_t kBlock = jobs::kMixtureBlock;
// Odd, so that parts have different seeds: 2^64 divided by the golden ratio.
constexpr uint64_t kSeedStep = 0x9E3779B97F4A7C15;

// With the sum kBlock, each at least 1 and within 1 of its share where the shares allow it.
std::vector<uint64_t> QuotasOf(const std::vector<MixturePart>& parts) {
  std::vector<uint64_t> quotas;
  std::vector<double> missing;  // of each part, to its share
  for (const MixturePart& part : parts) {
    const double wanted = part.share * kBlock;
    quotas.push_back(std::max<uint64_t>(1, static_cast<uint64_t>(std::floor(wanted))));
    missing.push_back(wanted - static_cast<double>(quotas.back()));
  }
  const auto move = [&](size_t part, int by) {
    quotas[part] += by;
    missing[part] -= by;
  };
  uint64_t sum = std::accumulate(quotas.begin(), quotas.end(), uint64_t{0});
  for (; sum < kBlock; ++sum) {
    move(std::max_element(missing.begin(), missing.end()) - missing.begin(), 1);
  }
  // Shares of less than one sample were given one.
  for (; sum > kBlock; --sum) {
    const auto most = std::max_element(quotas.begin(), quotas.end()) - quotas.begin();
    move(most, -1);
  }
  return quotas;
}

}  // namespace

MixtureOrder::MixtureOrder(uint64_t seed, std::vector<MixturePart> parts)
    : parts_(std::move(parts)),
      places_(seed, parts_.size() > 1 ? kBlock : 1, NoiseStream::kMixtureOrder) {
  HALCYON_CHECK(!parts_.empty() && parts_.size() <= kBlock);
  for (size_t i = 0; i < parts_.size(); ++i) {
    orders_.emplace_back(seed + i * kSeedStep, parts_[i].items);
  }
  if (parts_.size() == 1) return;
  part_at_.resize(kBlock);
  const std::vector<uint64_t> quotas = QuotasOf(parts_);
  uint64_t drawn = 0;
  for (size_t part = 0; part < quotas.size(); ++part) {
    std::vector<uint16_t>& places = places_of_.emplace_back();
    for (uint64_t i = 0; i < quotas[part]; ++i) {
      places.push_back(static_cast<uint16_t>(places_.ItemAt(drawn++)));
      part_at_[places.back()] = static_cast<uint16_t>(part);
    }
    std::sort(places.begin(), places.end());
  }
}

MixtureOrder::Place MixtureOrder::PlaceOf(uint64_t sample) const {
  if (parts_.size() == 1) return {0, sample};
  const uint64_t block = sample / kBlock;
  const uint64_t start = places_.ItemAt((block + 1) * kBlock);
  const uint64_t place = (start + sample % kBlock) % kBlock;
  const size_t part = part_at_[place];
  const std::vector<uint16_t>& places = places_of_[part];
  const auto before = [&places](uint64_t end) -> uint64_t {
    return std::lower_bound(places.begin(), places.end(), end) - places.begin();
  };
  // Those from the block's start on come first, then those before it.
  const uint64_t quota = places.size();
  return {part, block * quota + (before(place) + quota - before(start)) % quota};
}

uint64_t MixtureOrder::ItemAt(uint64_t sample) const {
  const Place place = PlaceOf(sample);
  return parts_[place.part].begin + orders_[place.part].ItemAt(place.sample);
}

std::vector<uint64_t> MixtureOrder::SamplesOfParts(uint64_t samples) const {
  if (parts_.size() == 1) return {samples};
  std::vector<uint64_t> counts;
  const uint64_t blocks = samples / kBlock;
  for (size_t i = 0; i < parts_.size(); ++i) {
    counts.push_back(blocks * places_of_[i].size());
  }
  for (uint64_t sample = blocks * kBlock; sample < samples; ++sample) {
    ++counts[PlaceOf(sample).part];
  }
  return counts;
}

}  // namespace halcyon::pipeline
