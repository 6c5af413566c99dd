#include "model/optimizer.h"

#include <cmath>

#include "base/check.h"

namespace halcyon::model {

void AdamWStep(const jobs::TrainSpec& spec, double learning_rate, uint64_t update,
               double gradient_scale, const AdamWState& state) {
  const size_t size = state.value.size();
  HALCYON_CHECK(update >= 1 && state.gradient.size() == size && state.exp_avg.size() == size &&
                state.exp_avg_sq.size() == size && state.decays.size() == size);
  const double count = static_cast<double>(update);
  const double correction1 = 1 - std::pow(spec.beta1, count);
  const double correction2 = 1 - std::pow(spec.beta2, count);
  const float rate = static_cast<float>(learning_rate / correction1);
  const float unbias = static_cast<float>(1 / std::sqrt(correction2));
  const float shrink = static_cast<float>(learning_rate * spec.weight_decay);
  const float beta1 = static_cast<float>(spec.beta1), rest1 = static_cast<float>(1 - spec.beta1);
  const float beta2 = static_cast<float>(spec.beta2), rest2 = static_cast<float>(1 - spec.beta2);
  const float epsilon = static_cast<float>(spec.epsilon);
  const float scale = static_cast<float>(gradient_scale);
  // Plain pointers, declared not to overlap, let the compiler use vectors; each element is worked
  // out the same way wherever it stands, so a shard gives the bits of the whole.
  float* __restrict value = state.value.data();
  float* __restrict exp_avg = state.exp_avg.data();
  float* __restrict exp_avg_sq = state.exp_avg_sq.data();
  const float* __restrict gradient = state.gradient.data();
  const uint8_t* __restrict decays = state.decays.data();
  for (size_t i = 0; i < size; ++i) {
    const float g = scale * gradient[i];
    const float m = beta1 * exp_avg[i] + rest1 * g;
    const float v = beta2 * exp_avg_sq[i] + rest2 * g * g;
    const float kept = value[i] * (1.0f - shrink * static_cast<float>(decays[i]));
    exp_avg[i] = m;
    exp_avg_sq[i] = v;
    value[i] = kept - rate * m / (std::sqrt(v) * unbias + epsilon);
  }
}

}  // namespace halcyon::model
