// The order of the items where sources have shares: which item each sample is, with random access,
// so that resuming needs no replay and the number of ranks does not matter.
#ifndef HALCYON_PIPELINE_SAMPLES_MIXTURE_ORDER_H_
#define HALCYON_PIPELINE_SAMPLES_MIXTURE_ORDER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/samples/sample_order.h"

namespace halcyon::pipeline {

// A source's items, which follow each other, and its share of the samples.
struct MixturePart {
  std::string name = "";
  double share = 1;
  uint64_t begin = 0, items = 0;
};

// A value. With one part, its items in the order of SampleOrder. With several, samples fall into
// blocks of jobs::kMixtureBlock. In each block a part has the same number of samples, its quota:
// its share of the block rounded, by largest remainders, at least 1. Which places of a block are
// whose is drawn once; each block begins at a random place of that drawing and goes round. The
// samples of a part, in their order, are its items in the order of a SampleOrder of its own: so
// after any number of samples each item of a part was used as often as any other, or once more.
class MixtureOrder {
 public:
  // REQUIRES: at least one part, at most a block of them; each has an item; with several the shares
  // are above 0 and their sum is 1.
  MixtureOrder(uint64_t seed, std::vector<MixturePart> parts);

  uint64_t ItemAt(uint64_t sample) const;
  const std::vector<MixturePart>& parts() const { return parts_; }
  // How many of the first `samples` are of each part. Costs a block at most.
  std::vector<uint64_t> SamplesOfParts(uint64_t samples) const;

 private:
  struct Place {
    size_t part;
    uint64_t sample;  // counted over the part's own
  };
  Place PlaceOf(uint64_t sample) const;

  std::vector<MixturePart> parts_;
  std::vector<SampleOrder> orders_;  // of the parts' items
  SampleOrder places_;               // in a block
  // With several parts, of the drawing: whose each place is, and the places of each part,
  // ascending.
  std::vector<uint16_t> part_at_;
  std::vector<std::vector<uint16_t>> places_of_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SAMPLES_MIXTURE_ORDER_H_
