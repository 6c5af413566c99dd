// The order of the items: a seeded random permutation of all items for each pass over the data,
// with random access. A cursor is one number, so resuming needs no replay, and the number of ranks
// does not matter.
#ifndef HALCYON_PIPELINE_SAMPLES_SAMPLE_ORDER_H_
#define HALCYON_PIPELINE_SAMPLES_SAMPLE_ORDER_H_

#include <cstdint>

#include "base/philox.h"

namespace halcyon::pipeline {

// A value. Item of sample i: pass i / items, position i % items, permuted by a Feistel network with
// Philox rounds and cycle walking.
class SampleOrder {
 public:
  // REQUIRES: items >= 1.
  SampleOrder(uint64_t seed, uint64_t items, NoiseStream stream = NoiseStream::kSampleOrder);
  uint64_t ItemAt(uint64_t sample) const;
  uint64_t items() const { return items_; }

 private:
  uint64_t seed_;
  uint64_t items_;
  NoiseStream stream_;
  uint32_t half_bits_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SAMPLES_SAMPLE_ORDER_H_
