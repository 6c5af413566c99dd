#include "model/optimizer.h"

#include <ATen/Parallel.h>

#include "base/check.h"
#include "model/energy/energy_lanes.h"

namespace halcyon::model {
namespace {

// What a thread of its own is worth.
constexpr int64_t kElementsPerThread = 1 << 15;

// Plain pointers, declared not to overlap, let the compiler use vectors; each element is worked out
// the same way wherever it stands, so a shard gives the bits of the whole, and so do any number of
// threads and either set of instructions.
HALCYON_VECTOR_CLONES void Update(const AdamWFactors& factors, const AdamWState& state,
                                  int64_t begin, int64_t end) {
  const AdamWFactors f = factors;
  float* __restrict value = state.value.data();
  float* __restrict exp_avg = state.exp_avg.data();
  float* __restrict exp_avg_sq = state.exp_avg_sq.data();
  const float* __restrict gradient = state.gradient.data();
  const uint8_t* __restrict decays = state.decays.data();
  for (int64_t i = begin; i < end; ++i) {
    const AdamWElement updated =
        UpdateElement(f, {value[i], exp_avg[i], exp_avg_sq[i]}, gradient[i], decays[i]);
    value[i] = updated.value;
    exp_avg[i] = updated.exp_avg;
    exp_avg_sq[i] = updated.exp_avg_sq;
  }
}

}  // namespace

void AdamWStep(const jobs::TrainSpec& spec, double learning_rate, uint64_t update,
               double gradient_scale, const AdamWState& state) {
  const size_t size = state.value.size();
  HALCYON_CHECK(update >= 1 && state.gradient.size() == size && state.exp_avg.size() == size &&
                state.exp_avg_sq.size() == size && state.decays.size() == size);
  const AdamWFactors factors = AdamWFactorsOf(spec, learning_rate, update, gradient_scale);
  at::parallel_for(0, static_cast<int64_t>(size), kElementsPerThread,
                   [&](int64_t begin, int64_t end) { Update(factors, state, begin, end); });
}

}  // namespace halcyon::model
