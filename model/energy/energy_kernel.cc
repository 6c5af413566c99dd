#include "model/energy/energy_kernel.h"

#include <algorithm>

#include "base/check.h"
#include "model/energy/energy_lanes.h"
#include "model/energy/energy_math.h"

namespace halcyon::model {
namespace {

// Sum over n < k of ||x_n - x_k||^alpha. Adds `weight` times its gradient.
HALCYON_VECTOR_CLONES double AddPairs(const float* rows, int64_t samples, int64_t padded,
                                      double alpha, double weight, float* gradient) {
  double sum = 0;
  for (int64_t n = 0; n < samples; ++n) {
    for (int64_t k = n + 1; k < samples; ++k) {
      const float *a = rows + n * padded, *b = rows + k * padded;
      const float square = SquaredDistance(a, b, padded);
      if (square <= kCoincident) continue;
      const double value = DistancePower(square, alpha);
      sum += value;
      const float slope = static_cast<float>(weight * alpha * value / square);
      float *slope_a = gradient + n * padded, *slope_b = gradient + k * padded;
      Floats move, other, total;
      for (int64_t i = 0; i < padded; i += kFloats) {
        Load(a + i, move);
        Load(b + i, other);
        move = slope * (move - other);
        Load(slope_a + i, total);
        Store(total + move, slope_a + i);
        Load(slope_b + i, total);
        Store(total - move, slope_b + i);
      }
    }
  }
  return sum;
}

// Sum over n of ||offset_n - draw||^alpha. Adds `weight` times its gradient in x_n.
HALCYON_VECTOR_CLONES double AddDraw(const float* offsets, const float* draw, int64_t samples,
                                     int64_t padded, double alpha, double weight, float* gradient) {
  double sum = 0;
  for (int64_t n = 0; n < samples; ++n) {
    const float* row = offsets + n * padded;
    const float square = SquaredDistance(row, draw, padded);
    if (square <= kCoincident) continue;
    const double value = DistancePower(square, alpha);
    sum += value;
    const float slope = static_cast<float>(weight * alpha * value / square);
    float* out = gradient + n * padded;
    Floats move, other, total;
    for (int64_t i = 0; i < padded; i += kFloats) {
      Load(row + i, move);
      Load(draw + i, other);
      Load(out + i, total);
      Store(total + slope * (move - other), out + i);
    }
  }
  return sum;
}

HALCYON_VECTOR_CLONES void Subtract(const float* a, const float* b, int64_t size, float* out) {
  for (int64_t i = 0; i < size; ++i) out[i] = a[i] - b[i];
}

HALCYON_VECTOR_CLONES void Multiply(const float* a, const float* b, int64_t size, float* out) {
  for (int64_t i = 0; i < size; ++i) out[i] = a[i] * b[i];
}

}  // namespace

EnergyKernel::EnergyKernel(int64_t samples, int64_t latent, double alpha)
    : samples_(samples),
      latent_(latent),
      padded_(PaddedTo(latent, kLanes)),
      alpha_(alpha),
      exact_(samples, latent, padded_, alpha),
      rows_(samples * padded_),
      offsets_(samples * padded_),
      gradient_(samples * padded_),
      std_(padded_),
      draw_(padded_) {
  HALCYON_CHECK(samples >= 2 && latent >= 1 && alpha > 0 && alpha <= 2);
}

EnergyKernel::Terms EnergyKernel::Run(const Input& input, float* gradient) {
  std::copy_n(input.std, latent_, std_.begin());
  for (int64_t n = 0; n < samples_; ++n) {
    const float* sample = input.samples + n * input.stride;
    std::copy_n(sample, latent_, &rows_[n * padded_]);
    Subtract(sample, input.mean, latent_, &offsets_[n * padded_]);
  }
  Terms terms;
  terms.target = input.draws > 0 ? SampledTarget(input)
                                 : exact_.Run(offsets_.data(), std_.data(), gradient_.data());
  const double pairs = static_cast<double>(samples_) * static_cast<double>(samples_ - 1);
  terms.spread =
      2 * AddPairs(rows_.data(), samples_, padded_, alpha_, -2 / pairs, gradient_.data()) / pairs;
  for (int64_t n = 0; n < samples_; ++n) {
    std::copy_n(&gradient_[n * padded_], latent_, gradient + n * input.stride);
  }
  return terms;
}

double EnergyKernel::SampledTarget(const Input& input) {
  std::fill(gradient_.begin(), gradient_.end(), 0.0f);
  const double count = static_cast<double>(samples_) * static_cast<double>(input.draws);
  double sum = 0;
  for (int64_t m = 0; m < input.draws; ++m) {
    Multiply(input.normal + m * input.stride, std_.data(), latent_, draw_.data());
    sum += AddDraw(offsets_.data(), draw_.data(), samples_, padded_, alpha_, 2 / count,
                   gradient_.data());
  }
  return sum / count;
}

}  // namespace halcyon::model
