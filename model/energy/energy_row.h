// The energy loss of one sample of one position, forward and gradient, by a group of lanes that
// share its dimensions: what a warp of the GPU runs (worker/cuda/). With a group of one lane it
// runs anywhere. The CPU's own form (model/energy/energy_kernel.h) shares work among the samples
// instead.
//
// A group is a copyable type with
//   int64_t index() const, size() const;     this lane, and how many there are
//   float Sum(float) const;                  over all lanes, the same bits in each
//   double Product(double) const;
#ifndef HALCYON_MODEL_ENERGY_ENERGY_ROW_H_
#define HALCYON_MODEL_ENERGY_ENERGY_ROW_H_

#include <cmath>
#include <cstdint>

#include "base/host_device.h"
#include "model/energy/energy_math.h"

namespace halcyon::model {

struct EnergyPosition {
  const float* samples;  // sample n starts at n * stride
  int64_t stride;
  int64_t count;  // of samples
  int64_t latent;
  const float* mean;  // [latent]
  const float* std;   // [latent]
  // With draws > 0 the target term is the mean over mean + std * normal, draw m's numbers at
  // m * stride; otherwise it is exact.
  const float* normal;
  int64_t draws;
  double alpha;   // in (0, 2]
  double factor;  // IntegralFactor(alpha)
};

// All nodes of the quadrature, in units where S = 1.
template <typename Lanes>
HALCYON_HOST_DEVICE inline void AddNodes(const Lanes& lanes, const EnergyPosition& position,
                                         const float* sample, float unit, double* value,
                                         double* common, float* pulls) {
  const auto square = [&](int64_t i) {
    const float offset = sample[i] - position.mean[i];
    return unit * (offset * offset);
  };
  const auto variance = [&](int64_t i) { return unit * (position.std[i] * position.std[i]); };
  float fourth = 0;
  for (int64_t i = lanes.index(); i < position.latent; i += lanes.size()) {
    fourth += variance(i) * (variance(i) + 2.0f * square(i));
  }
  const double dispersion = lanes.Sum(fourth);
  const double first = std::log(FirstTau(dispersion, position.alpha, position.factor));
  const double step = StepOf(dispersion);
  for (int index = 0; index < kNodesMax; ++index) {
    const Node node = NodeAt(first + index * step, step, position.alpha, position.factor);
    const float two_t = static_cast<float>(2 * node.t);
    float distance = 0, pulled = 0;
    double product = 1;
    for (int64_t i = lanes.index(); i < position.latent; i += lanes.size()) {
      const float ratio = two_t * variance(i), shrink = 1.0f / (1.0f + ratio);
      product *= 1.0 + static_cast<double>(ratio);
      distance += square(i) * shrink;
      pulled += square(i) * shrink * shrink;
    }
    const double m = std::exp(-node.t * lanes.Sum(distance)) / std::sqrt(lanes.Product(product));
    const NodeTerms terms = TermsAt(node, m, std::exp(-node.t));
    *value -= terms.value;
    *common += terms.common;
    for (int64_t i = lanes.index(); i < position.latent; i += lanes.size()) {
      pulls[i] += static_cast<float>(terms.pull) / (1.0f + two_t * variance(i));
    }
    const double pull = std::sqrt(node.t * lanes.Sum(pulled));
    if (UpperTail(node.t, node.weight / step, m, pull, position.alpha) < kTailTolerance) break;
  }
}

// E||y - x_n||^alpha. Overwrites gradient [latent] with 2 / count times its gradient.
template <typename Lanes>
HALCYON_HOST_DEVICE inline double ExactTargetOfRow(const Lanes& lanes,
                                                   const EnergyPosition& position, int64_t n,
                                                   float* gradient) {
  const float* sample = position.samples + n * position.stride;
  float sum = 0;
  for (int64_t i = lanes.index(); i < position.latent; i += lanes.size()) {
    const float offset = sample[i] - position.mean[i];
    sum += offset * offset + position.std[i] * position.std[i];
    gradient[i] = 0;
  }
  const float second = lanes.Sum(sum);
  if (!std::isfinite(second) || second < kSecondMomentMin) {
    // NaN for what is not finite.
    const float value = second < kSecondMomentMin ? 0.0f : second - second;
    for (int64_t i = lanes.index(); i < position.latent; i += lanes.size()) gradient[i] = value;
    return value;
  }
  double value = 1, common = position.alpha;
  if (position.alpha < 2) {
    AddNodes(lanes, position, sample, 1.0f / second, &value, &common, gradient);
  }
  const double value_unit = DistancePower(second, position.alpha);
  const double slope_unit = 2 * value_unit / second / static_cast<double>(position.count);
  for (int64_t i = lanes.index(); i < position.latent; i += lanes.size()) {
    const float factor =
        static_cast<float>(common * slope_unit) + static_cast<float>(slope_unit) * gradient[i];
    gradient[i] = factor * (sample[i] - position.mean[i]);
  }
  return value_unit * value;
}

// The mean over draws y of ||y - x_n||^alpha. Overwrites gradient [latent] with 2 / count times its
// gradient.
template <typename Lanes>
HALCYON_HOST_DEVICE inline double SampledTargetOfRow(const Lanes& lanes,
                                                     const EnergyPosition& position, int64_t n,
                                                     float* gradient) {
  const float* sample = position.samples + n * position.stride;
  const double terms = static_cast<double>(position.count) * static_cast<double>(position.draws);
  for (int64_t i = lanes.index(); i < position.latent; i += lanes.size()) gradient[i] = 0;
  double sum = 0;
  for (int64_t m = 0; m < position.draws; ++m) {
    const float* normal = position.normal + m * position.stride;
    const auto apart = [&](int64_t i) {
      return sample[i] - position.mean[i] - position.std[i] * normal[i];
    };
    float partial = 0;
    for (int64_t i = lanes.index(); i < position.latent; i += lanes.size()) {
      partial += apart(i) * apart(i);
    }
    const float square = lanes.Sum(partial);
    if (square <= kCoincident) continue;
    const double value = DistancePower(square, position.alpha);
    sum += value;
    const float slope = static_cast<float>(2 * position.alpha * value / square / terms);
    for (int64_t i = lanes.index(); i < position.latent; i += lanes.size()) {
      gradient[i] += slope * apart(i);
    }
  }
  return sum / static_cast<double>(position.draws);
}

template <typename Lanes>
HALCYON_HOST_DEVICE inline double TargetOfRow(const Lanes& lanes, const EnergyPosition& position,
                                              int64_t n, float* gradient) {
  return position.draws > 0 ? SampledTargetOfRow(lanes, position, n, gradient)
                            : ExactTargetOfRow(lanes, position, n, gradient);
}

// Sum over k != n of ||x_n - x_k||^alpha. Takes the spread's gradient in x_n from gradient
// [latent].
template <typename Lanes>
HALCYON_HOST_DEVICE inline double SpreadOfRow(const Lanes& lanes, const EnergyPosition& position,
                                              int64_t n, float* gradient) {
  const float* sample = position.samples + n * position.stride;
  const double pairs =
      static_cast<double>(position.count) * static_cast<double>(position.count - 1);
  double sum = 0;
  for (int64_t k = 0; k < position.count; ++k) {
    const float* other = position.samples + k * position.stride;
    float partial = 0;
    for (int64_t i = lanes.index(); i < position.latent; i += lanes.size()) {
      partial += (sample[i] - other[i]) * (sample[i] - other[i]);
    }
    const float square = lanes.Sum(partial);
    if (k == n || square <= kCoincident) continue;
    const double value = DistancePower(square, position.alpha);
    sum += value;
    const float slope = static_cast<float>(2 * position.alpha * value / square / pairs);
    for (int64_t i = lanes.index(); i < position.latent; i += lanes.size()) {
      gradient[i] -= slope * (sample[i] - other[i]);
    }
  }
  return sum;
}

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_ENERGY_ENERGY_ROW_H_
