#include "model/energy/energy_target.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "model/energy/energy_lanes.h"
#include "model/energy/energy_math.h"

namespace halcyon::model {
namespace {

// Below this share of the position's largest E||y - x||^2 a sample counts as resting on the target.
constexpr double kNegligible = 1e-20;

// squares = offsets^2; returns S.
HALCYON_VECTOR_CLONES float SquareOffsets(const float* offsets, const float* variance,
                                          int64_t padded, float* squares) {
  Floats sums[2] = {}, offset, spread;
  for (int64_t i = 0; i < padded; i += kLanes) {
    for (int64_t half = 0; half < 2; ++half) {
      const int64_t at = i + half * kFloats;
      Load(offsets + at, offset);
      Load(variance + at, spread);
      offset *= offset;
      Store(offset, squares + at);
      sums[half] += offset + spread;
    }
  }
  return SumOf(sums[0], sums[1]);
}

// Brings the squares to the unit; returns V of them and the variance, which is in the unit already.
HALCYON_VECTOR_CLONES float Rescale(const float* variance, float unit, int64_t padded,
                                    float* squares) {
  Floats sums[2] = {}, square, spread;
  for (int64_t i = 0; i < padded; i += kLanes) {
    for (int64_t half = 0; half < 2; ++half) {
      const int64_t at = i + half * kFloats;
      Load(squares + at, square);
      Load(variance + at, spread);
      square *= unit;
      Store(square, squares + at);
      sums[half] += spread * (spread + 2.0f * square);
    }
  }
  return SumOf(sums[0], sums[1]);
}

// q_i = 1 / (1 + 2 t s_i^2) and the product of all 1 + 2 t s_i^2, in double: many ratios too small
// for a float beside 1 add up. An infinite product is right: its
// inverse is the zero that it stands for.
HALCYON_VECTOR_CLONES double Shrink(const float* variance, float two_t, int64_t padded,
                                    float* shrink) {
  Doubles low = {1, 1, 1, 1}, high = low;
  Floats ratio;
  for (int64_t i = 0; i < padded; i += kFloats) {
    Load(variance + i, ratio);
    ratio *= two_t;
    Store(1.0f / (1.0f + ratio), shrink + i);
    low *= 1.0 + Doubles{ratio[0], ratio[1], ratio[2], ratio[3]};
    high *= 1.0 + Doubles{ratio[4], ratio[5], ratio[6], ratio[7]};
  }
  low *= high;
  return (low[0] * low[1]) * (low[2] * low[3]);
}

HALCYON_VECTOR_CLONES void Project(const float* squares, const float* shrink, int64_t samples,
                                   int64_t padded, double* distance) {
  for (int64_t n = 0; n < samples; ++n) distance[n] = Dot(squares + n * padded, shrink, padded);
}

// REQUIRES: count a multiple of kDoubles.
HALCYON_VECTOR_CLONES void ExponentialOf(int64_t count, double* values) {
  Doubles x;
  for (int64_t i = 0; i < count; i += kDoubles) {
    std::memcpy(&x, values + i, sizeof(x));
    Exponential(x);
    std::memcpy(values + i, &x, sizeof(x));
  }
}

HALCYON_VECTOR_CLONES void AddPull(const float* shrink, float pull, int64_t padded, float* pulls) {
  AddScaled(shrink, pull, padded, pulls);
}

// gradient = (common + unit * pulls) * offsets.
HALCYON_VECTOR_CLONES void Combine(const float* offsets, const float* pulls, float common,
                                   float unit, int64_t padded, float* gradient) {
  Floats offset, pull;
  for (int64_t i = 0; i < padded; i += kFloats) {
    Load(offsets + i, offset);
    Load(pulls + i, pull);
    Store((common + unit * pull) * offset, gradient + i);
  }
}

}  // namespace

ExactTarget::ExactTarget(int64_t samples, int64_t latent, int64_t padded, double alpha)
    : samples_(samples),
      latent_(latent),
      padded_(padded),
      alpha_(alpha),
      factor_(IntegralFactor(alpha)),
      variance_(padded),
      squares_(samples * padded),
      shrink_(padded),
      pulls_(samples * padded),
      common_(samples),
      values_(samples),
      second_(samples),
      plain_(samples),
      distance_(samples),
      exponents_(PaddedTo(2 * samples, kDoubles)) {
  HALCYON_CHECK(padded % kLanes == 0 && alpha > 0 && alpha <= 2);
}

bool ExactTarget::Prepare(const float* offsets, const float* std) {
  for (int64_t i = 0; i < padded_; ++i) variance_[i] = std[i] * std[i];
  float largest = 0;
  for (int64_t n = 0; n < samples_; ++n) {
    const int64_t row = n * padded_;
    const float second =
        SquareOffsets(offsets + row, variance_.data(), padded_, squares_.data() + row);
    second_[n] = second;
    // Not std::max: a NaN has to win.
    if (!(second <= largest)) largest = second;
    if (std::isnan(largest)) break;
  }
  scale_ = largest;
  if (!std::isfinite(largest) || largest < kSecondMomentMin) return false;

  const float unit = 1.0f / largest;
  for (float& value : variance_) value *= unit;
  variance_min_ = *std::min_element(variance_.begin(), variance_.begin() + latent_);
  dispersion_max_ = 0;
  for (int64_t n = 0; n < samples_; ++n) {
    const float fourth = Rescale(variance_.data(), unit, padded_, squares_.data() + n * padded_);
    second_[n] *= unit;
    if (second_[n] < kNegligible) continue;
    dispersion_max_ = std::max(dispersion_max_, fourth / (second_[n] * second_[n]));
  }
  return true;
}

bool ExactTarget::IsLast(double t, double weight, double step) const {
  const double shrink_max = 1.0 / (1.0 + 2 * t * variance_min_);
  for (int64_t n = 0; n < samples_; ++n) {
    if (second_[n] < kNegligible) continue;
    const double pull = std::sqrt(t * distance_[n] * shrink_max);
    const double relative = weight / step / plain_[n];
    // One sample that needs the next node is enough.
    if (UpperTail(t * second_[n], relative, exponents_[n], pull, alpha_) >= kTailTolerance) {
      return false;
    }
  }
  return true;
}

void ExactTarget::Integrate() {
  for (int64_t n = 0; n < samples_; ++n) {
    const double second = second_[n];
    values_[n] = plain_[n] = DistancePower(second, alpha_);
    common_[n] = second > 0 ? alpha_ * values_[n] / second : 0;
  }
  std::fill(pulls_.begin(), pulls_.end(), 0.0f);
  if (alpha_ == 2) return;
  // Low enough for every sample: the largest S is 1.
  const double first = std::log(FirstTau(dispersion_max_, alpha_, factor_));
  const double step = StepOf(dispersion_max_);
  for (int64_t index = 0; index < kNodesMax; ++index) {
    const Node node = NodeAt(first + static_cast<double>(index) * step, step, alpha_, factor_);
    const double product =
        Shrink(variance_.data(), static_cast<float>(2 * node.t), padded_, shrink_.data());
    Project(squares_.data(), shrink_.data(), samples_, padded_, distance_.data());
    for (int64_t n = 0; n < samples_; ++n) {
      exponents_[n] = -node.t * distance_[n];
      exponents_[samples_ + n] = -node.t * second_[n];
    }
    ExponentialOf(static_cast<int64_t>(exponents_.size()), exponents_.data());
    const double shrunk = 1.0 / std::sqrt(product);
    for (int64_t n = 0; n < samples_; ++n) {
      exponents_[n] *= shrunk;
      if (second_[n] < kNegligible) continue;
      const NodeTerms terms = TermsAt(node, exponents_[n], exponents_[samples_ + n]);
      values_[n] -= terms.value;
      common_[n] += terms.common;
      AddPull(shrink_.data(), static_cast<float>(terms.pull), padded_, &pulls_[n * padded_]);
    }
    if (IsLast(node.t, node.weight, step)) break;
  }
}

double ExactTarget::Run(const float* offsets, const float* std, float* gradient) {
  if (!Prepare(offsets, std)) {
    const double value = scale_ < kSecondMomentMin ? 0 : std::numeric_limits<double>::quiet_NaN();
    std::fill_n(gradient, samples_ * padded_, static_cast<float>(value));
    return value;
  }
  Integrate();
  const double value_unit = DistancePower(scale_, alpha_);
  const double slope_unit = 2 * value_unit / scale_ / static_cast<double>(samples_);
  double sum = 0;
  for (int64_t n = 0; n < samples_; ++n) {
    sum += values_[n];
    const int64_t row = n * padded_;
    Combine(offsets + row, &pulls_[row], static_cast<float>(common_[n] * slope_unit),
            static_cast<float>(slope_unit), padded_, gradient + row);
  }
  return value_unit * sum / static_cast<double>(samples_);
}

}  // namespace halcyon::model
