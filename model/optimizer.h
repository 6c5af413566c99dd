// AdamW with decoupled weight decay (Loshchilov and Hutter) on flat arrays: the optimizer sees the
// shard of a unit, not tensors.
#ifndef HALCYON_MODEL_OPTIMIZER_H_
#define HALCYON_MODEL_OPTIMIZER_H_

#include <cstdint>
#include <span>

#include "jobs/job_spec.h"

namespace halcyon::model {

struct AdamWState {
  std::span<float> value, exp_avg, exp_avg_sq;
  std::span<const float> gradient;
  std::span<const uint8_t> decays;  // per element: 1 where weight decay applies
};
// One update; `update` = 1, 2, ... for the bias correction. The gradient is multiplied by
// `gradient_scale` first (clipping).
void AdamWStep(const jobs::TrainSpec& spec, double learning_rate, uint64_t update,
               double gradient_scale, const AdamWState& state);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_OPTIMIZER_H_
