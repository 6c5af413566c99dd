// AdamW with decoupled weight decay (Loshchilov and Hutter) on flat arrays: the optimizer sees the
// shard of a unit, not tensors.
#ifndef HALCYON_MODEL_OPTIMIZER_H_
#define HALCYON_MODEL_OPTIMIZER_H_

#include <cmath>
#include <cstdint>
#include <span>

#include "jobs/job_spec.h"
#include "model/kernels/adamw_element.h"

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

// What one update's elements share.
inline AdamWFactors AdamWFactorsOf(const jobs::TrainSpec& train, double learning_rate,
                                   uint64_t update, double gradient_scale) {
  const double count = static_cast<double>(update);
  return {.rate = static_cast<float>(learning_rate / (1 - std::pow(train.beta1, count))),
          .unbias = static_cast<float>(1 / std::sqrt(1 - std::pow(train.beta2, count))),
          .shrink = static_cast<float>(learning_rate * train.weight_decay),
          .beta1 = static_cast<float>(train.beta1),
          .rest1 = static_cast<float>(1 - train.beta1),
          .beta2 = static_cast<float>(train.beta2),
          .rest2 = static_cast<float>(1 - train.beta2),
          .epsilon = static_cast<float>(train.epsilon),
          .scale = static_cast<float>(gradient_scale)};
}

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_OPTIMIZER_H_
