#include "model/initialise.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include "base/check.h"
#include "base/digest.h"
#include "base/philox.h"

namespace halcyon::model {
namespace {

double StandardDeviation(const Parameter& parameter, jobs::InitRule rule, double init_std) {
  if (rule == jobs::InitRule::kNormal || parameter.init == InitKind::kEmbedding) return init_std;
  const int64_t fan_in = parameter.shape.back();
  return 1.0 / std::sqrt(static_cast<double>(fan_in));
}

}  // namespace

void DrawInitial(const Parameter& parameter, jobs::InitRule rule, double init_std, uint64_t seed,
                 uint64_t first, std::span<float> out) {
  if (parameter.init == InitKind::kZero || parameter.init == InitKind::kOne) {
    std::fill(out.begin(), out.end(), parameter.init == InitKind::kOne ? 1.0f : 0.0f);
    return;
  }
  // The name takes the place of (step, sample), so that adding a parameter to a network leaves the
  // values of the others as they were.
  const uint64_t name = Xxh3(parameter.name);
  const PhiloxStream stream(seed, NoiseStream::kInitialisation, name >> 32, name & 0xFFFFFFFFu);
  stream.FillNormal(first, out);
  const float std = static_cast<float>(StandardDeviation(parameter, rule, init_std));
  for (float& value : out) value *= std;
}

void Initialise(Unit& unit, jobs::InitRule rule, double init_std, uint64_t seed) {
  for (Parameter& parameter : unit.parameters()) {
    HALCYON_CHECK(parameter.value.defined());
    const at::Tensor drawn = at::empty(parameter.shape, at::kFloat);
    const std::span<float> values(drawn.mutable_data_ptr<float>(),
                                  static_cast<size_t>(parameter.numel()));
    DrawInitial(parameter, rule, init_std, seed, 0, values);
    parameter.value.detach().copy_(drawn);
  }
}

}  // namespace halcyon::model
