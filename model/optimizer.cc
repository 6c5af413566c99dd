#include "model/optimizer.h"

#include <ATen/Parallel.h>

#include <cmath>

#include "base/check.h"
#include "model/energy/energy_lanes.h"

namespace halcyon::model {
namespace {

// What a thread of its own is worth.
constexpr int64_t kElementsPerThread = 1 << 15;

struct Factors {
  float rate, unbias, shrink, beta1, rest1, beta2, rest2, epsilon, scale;
};

// Plain pointers, declared not to overlap, let the compiler use vectors; each element is worked out
// the same way wherever it stands, so a shard gives the bits of the whole, and so do any number of
// threads and either set of instructions.
HALCYON_VECTOR_CLONES void Update(const Factors& factors, const AdamWState& state, int64_t begin,
                                  int64_t end) {
  const Factors f = factors;
  float* __restrict value = state.value.data();
  float* __restrict exp_avg = state.exp_avg.data();
  float* __restrict exp_avg_sq = state.exp_avg_sq.data();
  const float* __restrict gradient = state.gradient.data();
  const uint8_t* __restrict decays = state.decays.data();
  for (int64_t i = begin; i < end; ++i) {
    const float g = f.scale * gradient[i];
    const float m = f.beta1 * exp_avg[i] + f.rest1 * g;
    const float v = f.beta2 * exp_avg_sq[i] + f.rest2 * g * g;
    const float kept = value[i] * (1.0f - f.shrink * static_cast<float>(decays[i]));
    exp_avg[i] = m;
    exp_avg_sq[i] = v;
    value[i] = kept - f.rate * m / (std::sqrt(v) * f.unbias + f.epsilon);
  }
}

}  // namespace

void AdamWStep(const jobs::TrainSpec& spec, double learning_rate, uint64_t update,
               double gradient_scale, const AdamWState& state) {
  const size_t size = state.value.size();
  HALCYON_CHECK(update >= 1 && state.gradient.size() == size && state.exp_avg.size() == size &&
                state.exp_avg_sq.size() == size && state.decays.size() == size);
  const double count = static_cast<double>(update);
  const double correction1 = 1 - std::pow(spec.beta1, count);
  const double correction2 = 1 - std::pow(spec.beta2, count);
  const Factors factors = {.rate = static_cast<float>(learning_rate / correction1),
                           .unbias = static_cast<float>(1 / std::sqrt(correction2)),
                           .shrink = static_cast<float>(learning_rate * spec.weight_decay),
                           .beta1 = static_cast<float>(spec.beta1),
                           .rest1 = static_cast<float>(1 - spec.beta1),
                           .beta2 = static_cast<float>(spec.beta2),
                           .rest2 = static_cast<float>(1 - spec.beta2),
                           .epsilon = static_cast<float>(spec.epsilon),
                           .scale = static_cast<float>(gradient_scale)};
  at::parallel_for(0, static_cast<int64_t>(size), kElementsPerThread,
                   [&](int64_t begin, int64_t end) { Update(factors, state, begin, end); });
}

}  // namespace halcyon::model
