#include "pipeline/samples/sample_order.h"

#include <bit>

#include "base/check.h"
#include "base/philox.h"

namespace halcyon::pipeline {
namespace {

// Eight rounds where four make a strong permutation of a large domain: small domains need more.
constexpr uint64_t kRounds = 8;
constexpr uint32_t kRoundBits = 3;

}  // namespace

SampleOrder::SampleOrder(uint64_t seed, uint64_t items, NoiseStream stream)
    : seed_(seed), items_(items), stream_(stream) {
  HALCYON_CHECK(items >= 1);
  // The least even number of bits that holds items - 1, so that cycle walking takes fewer than four
  // steps on average.
  const auto bits = static_cast<uint32_t>(std::bit_width(items - 1));
  half_bits_ = bits < 2 ? 1 : (bits + 1) / 2;
}

uint64_t SampleOrder::ItemAt(uint64_t sample) const {
  const uint64_t pass = sample / items_;
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t item = sample % items_;
  do {
    uint64_t left = item >> half_bits_;
    uint64_t right = item & mask;
    for (uint64_t round = 0; round < kRounds; ++round) {
      // A pass of few items is short, so there may be more passes than a step counts.
      const PhiloxStream stream(seed_, stream_, pass & 0xFFFFFFFF,
                                pass >> 32 << kRoundBits | round);
      const uint64_t mixed = left ^ (stream.Bits(right) & mask);
      left = right;
      right = mixed;
    }
    item = left << half_bits_ | right;
  } while (item >= items_);
  return item;
}

}  // namespace halcyon::pipeline
