#include "model/energy_kernel.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "model/energy_math.h"

namespace halcyon::model {
namespace {

// Wide enough for any vector unit; rows are padded with zeros to whole lanes.
constexpr int64_t kLanes = 16;
// Below this share of the position's largest E||y - x||^2 a sample counts as resting on the target.
constexpr double kNegligible = 1e-20;
constexpr float kScaleMin = 1e-35f;
// Squared distances below this are coincidences: the gradient's factor would overflow.
constexpr float kCoincident = 1e-30f;

float SumOf(const float (&lanes)[kLanes]) {
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  return sum;
}

float Dot(const float* a, const float* b, int64_t padded) {
  float lanes[kLanes] = {};
  for (int64_t i = 0; i < padded; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] += a[i + j] * b[i + j];
  }
  return SumOf(lanes);
}

// ||a - b||^2 of rows that are not padded.
float SquaredDistance(const float* a, const float* b, int64_t size) {
  float lanes[kLanes] = {};
  const int64_t whole = size / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) {
      const float difference = a[i + j] - b[i + j];
      lanes[j] += difference * difference;
    }
  }
  for (int64_t i = whole; i < size; ++i) {
    const float difference = a[i] - b[i];
    lanes[i - whole] += difference * difference;
  }
  return SumOf(lanes);
}

// q_i = 1 / (1 + 2 t s_i^2) and the product of all 1 + 2 t s_i^2. An infinite product is right: its
// inverse is the zero that it stands for.
double Shrink(const float* variance, float two_t, int64_t padded, float* shrink) {
  double lanes[kLanes];
  std::fill_n(lanes, kLanes, 1.0);
  for (int64_t i = 0; i < padded; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) {
      const float ratio = two_t * variance[i + j];
      shrink[i + j] = 1.0f / (1.0f + ratio);
      lanes[j] *= 1.0 + static_cast<double>(ratio);
    }
  }
  double product = 1;
  for (const double lane : lanes) product *= lane;
  return product;
}

}  // namespace

EnergyKernel::EnergyKernel(int64_t samples, int64_t latent, double alpha)
    : samples_(samples),
      latent_(latent),
      padded_((latent + kLanes - 1) / kLanes * kLanes),
      alpha_(alpha),
      factor_(IntegralFactor(alpha)),
      variance_(padded_),
      squares_(samples * padded_),
      shrink_(padded_),
      pulls_(samples * padded_),
      common_(samples),
      values_(samples),
      second_(samples),
      dispersion_(samples) {
  HALCYON_CHECK(samples >= 2 && latent >= 1 && alpha > 0 && alpha < 2);
}

EnergyKernel::Terms EnergyKernel::Run(const Input& input, float* gradient) {
  const double target = AddTarget(input, gradient);
  return {target, AddSpread(input, gradient)};
}

bool EnergyKernel::Prepare(const Input& input) {
  std::copy_n(input.variance, latent_, variance_.begin());
  float largest = 0;
  for (int64_t n = 0; n < samples_; ++n) {
    float* squares = &squares_[n * padded_];
    const float* sample = input.samples + n * input.stride;
    float lanes[kLanes] = {};
    for (int64_t i = 0; i < latent_; ++i) {
      const float offset = sample[i] - input.mean[i];
      squares[i] = offset * offset;
    }
    for (int64_t i = 0; i < padded_; i += kLanes) {
      for (int64_t j = 0; j < kLanes; ++j) lanes[j] += squares[i + j] + variance_[i + j];
    }
    second_[n] = SumOf(lanes);
    // Not std::max: a NaN has to win.
    if (!(second_[n] <= largest)) largest = static_cast<float>(second_[n]);
    if (std::isnan(largest)) break;
  }
  scale_ = largest;
  if (!std::isfinite(largest) || largest < kScaleMin) return false;

  const float unit = 1.0f / largest;
  for (float& value : variance_) value *= unit;
  for (float& value : squares_) value *= unit;
  for (int64_t n = 0; n < samples_; ++n) {
    const float* squares = &squares_[n * padded_];
    float lanes[kLanes] = {};
    for (int64_t i = 0; i < padded_; i += kLanes) {
      for (int64_t j = 0; j < kLanes; ++j) {
        lanes[j] += variance_[i + j] * (variance_[i + j] + 2.0f * squares[i + j]);
      }
    }
    second_[n] *= unit;
    dispersion_[n] = SumOf(lanes) / (second_[n] * second_[n]);
  }
  return true;
}

void EnergyKernel::ChooseGrid(double* first, double* step) const {
  double first_t = std::numeric_limits<double>::infinity();
  double dispersion_max = 0;
  for (int64_t n = 0; n < samples_; ++n) {
    if (second_[n] < kNegligible) continue;
    first_t = std::min(first_t, FirstTau(dispersion_[n], alpha_, factor_) / second_[n]);
    dispersion_max = std::max(dispersion_max, dispersion_[n]);
  }
  *first = std::log(first_t);
  *step = StepOf(dispersion_max);
}

double EnergyKernel::AddNode(double t, double weight) {
  const double product =
      Shrink(variance_.data(), static_cast<float>(2 * t), padded_, shrink_.data());
  const double shrunk = 1.0 / std::sqrt(product);
  const double shrink_max = *std::max_element(shrink_.begin(), shrink_.begin() + latent_);
  double tail = 0;
  for (int64_t n = 0; n < samples_; ++n) {
    if (second_[n] < kNegligible) continue;
    const double distance = t * Dot(&squares_[n * padded_], shrink_.data(), padded_);
    const double m = shrunk * std::exp(-distance);
    const double plain = std::exp(-t * second_[n]);
    values_[n] -= weight * (m - plain);
    common_[n] -= 2 * t * weight * plain;
    const float pull = static_cast<float>(2 * t * weight * m);
    float* pulls = &pulls_[n * padded_];
    for (int64_t i = 0; i < padded_; ++i) pulls[i] += pull * shrink_[i];
    // One sample that needs the next node is enough.
    if (tail < kTailTolerance) {
      const double pulled = std::sqrt(distance * shrink_max);
      tail = std::max(tail, UpperTail(t * second_[n], m, pulled, alpha_, factor_));
    }
  }
  return tail;
}

void EnergyKernel::Integrate() {
  for (int64_t n = 0; n < samples_; ++n) {
    const double second = second_[n];
    values_[n] = std::pow(second, 0.5 * alpha_);
    common_[n] = second > 0 ? alpha_ * values_[n] / second : 0;
  }
  std::fill(pulls_.begin(), pulls_.end(), 0.0f);
  double first, step;
  ChooseGrid(&first, &step);
  for (int64_t node = 0; node < kNodesMax; ++node) {
    const double u = first + static_cast<double>(node) * step;
    if (AddNode(std::exp(u), factor_ * step * std::exp(-0.5 * alpha_ * u)) < kTailTolerance) break;
  }
}

double EnergyKernel::AddTarget(const Input& input, float* gradient) {
  if (!Prepare(input)) {
    const double value = scale_ < kScaleMin ? 0 : std::numeric_limits<double>::quiet_NaN();
    for (int64_t n = 0; n < samples_; ++n) {
      std::fill_n(gradient + n * input.stride, latent_, static_cast<float>(value));
    }
    return value;
  }
  Integrate();
  const double value_unit = std::pow(scale_, 0.5 * alpha_);
  const double slope_unit = 2 * value_unit / scale_ / static_cast<double>(samples_);
  double sum = 0;
  for (int64_t n = 0; n < samples_; ++n) {
    sum += values_[n];
    const float common = static_cast<float>(common_[n] * slope_unit);
    const float unit = static_cast<float>(slope_unit);
    const float* sample = input.samples + n * input.stride;
    const float* pulls = &pulls_[n * padded_];
    float* out = gradient + n * input.stride;
    for (int64_t i = 0; i < latent_; ++i) {
      out[i] = (common + unit * pulls[i]) * (sample[i] - input.mean[i]);
    }
  }
  return value_unit * sum / static_cast<double>(samples_);
}

double EnergyKernel::AddSpread(const Input& input, float* gradient) const {
  const double pairs = static_cast<double>(samples_) * static_cast<double>(samples_ - 1);
  double sum = 0;
  for (int64_t n = 0; n < samples_; ++n) {
    const float* a = input.samples + n * input.stride;
    float* slope_a = gradient + n * input.stride;
    for (int64_t k = n + 1; k < samples_; ++k) {
      const float* b = input.samples + k * input.stride;
      float* slope_b = gradient + k * input.stride;
      const float square = SquaredDistance(a, b, latent_);
      if (square <= kCoincident) continue;
      const double value = std::pow(static_cast<double>(square), 0.5 * alpha_);
      sum += value;
      const float slope = static_cast<float>(2 * alpha_ * value / square / pairs);
      for (int64_t i = 0; i < latent_; ++i) {
        const float move = slope * (a[i] - b[i]);
        slope_a[i] -= move;
        slope_b[i] += move;
      }
    }
  }
  return 2 * sum / pairs;
}

}  // namespace halcyon::model
