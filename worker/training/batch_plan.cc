#include "worker/training/batch_plan.h"

#include <algorithm>

namespace halcyon::worker {

std::vector<MicroBatch> PlanBatch(const BatchShape& shape, const pipeline::MixtureOrder& order,
                                  uint64_t step) {
  const uint64_t per_rank = (shape.batch + shape.ranks - 1) / shape.ranks;
  const uint64_t micro = shape.micro_batch > 0 ? shape.micro_batch : per_rank;
  std::vector<MicroBatch> passes;
  for (uint64_t begin = 0; begin < per_rank; begin += micro) {
    MicroBatch pass;
    pass.step = step;
    pass.divisor = static_cast<double>(shape.batch);
    for (uint64_t i = begin; i < std::min(begin + micro, per_rank); ++i) {
      const uint64_t slot = i * shape.ranks + shape.rank;
      pass.slots.push_back(slot);
      pass.items.push_back(order.ItemAt(step * shape.batch + std::min(slot, shape.batch - 1)));
      pass.weights.push_back(slot < shape.batch ? 1.0f : 0.0f);
    }
    passes.push_back(std::move(pass));
  }
  return passes;
}

}  // namespace halcyon::worker
