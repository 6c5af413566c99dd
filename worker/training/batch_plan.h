// The samples that a rank takes in a step: the global batch divided over ranks and micro-batches.
#ifndef HALCYON_WORKER_TRAINING_BATCH_PLAN_H_
#define HALCYON_WORKER_TRAINING_BATCH_PLAN_H_

#include <cstdint>
#include <vector>

#include "pipeline/samples/mixture_order.h"

namespace halcyon::worker {

// The samples one rank takes through one forward and backward pass.
struct MicroBatch {
  uint64_t step = 0;
  std::vector<uint64_t> slots;  // place of each sample in the global batch: keys the noise
  std::vector<uint64_t> items;  // which item of the training data each sample is
  std::vector<float> weights;   // 1, or 0 for a sample that only fills the batch up
  double divisor = 1;           // samples of the global batch
};

struct BatchShape {
  uint64_t batch = 1;        // samples a step, over all ranks
  uint64_t micro_batch = 0;  // samples a pass on one rank; 0: all of the rank's in one
  uint64_t rank = 0, ranks = 1;
};

// The rank's passes of a step. Rank r takes slots r, r + ranks, ...; every rank takes equally many
// in equally many passes, so that all make the same collectives: slots past the batch have weight
// 0. Slot i of step s is sample s * batch + i of the order, whatever the number of ranks.
std::vector<MicroBatch> PlanBatch(const BatchShape& shape, const pipeline::MixtureOrder& order,
                                  uint64_t step);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TRAINING_BATCH_PLAN_H_
