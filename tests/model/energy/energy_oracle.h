// The target term of the energy loss in float64, by a series that has nothing in common with the
// quadrature under test.
#ifndef HALCYON_TESTS_MODEL_ENERGY_ENERGY_ORACLE_H_
#define HALCYON_TESTS_MODEL_ENERGY_ENERGY_ORACLE_H_

#include <algorithm>
#include <cmath>
#include <vector>

namespace halcyon::model {

// E[(sum_i (d_i + s_i z_i)^2)^(alpha/2)] by Ruben's expansion of a quadratic form of normals as a
// mixture of chi-squares (Ruben 1962; Farebrother, Algorithm AS 204), whose moments are known.
// REQUIRES: s_i > 0, not too different; sum (d_i / s_i)^2 below about 1000.
inline double ExpectedDistancePower(const std::vector<double>& offset,
                                    const std::vector<double>& std, double alpha) {
  const size_t l = offset.size();
  const double least = *std::min_element(std.begin(), std.end());
  const double beta = least * least;
  double log_first = 0;
  for (size_t i = 0; i < l; ++i) {
    log_first += -0.5 * std::pow(offset[i] / std[i], 2) + std::log(least / std[i]);
  }
  const auto log_moment = [&](size_t k) {
    const double degrees = static_cast<double>(l + 2 * k);
    return std::lgamma(0.5 * (degrees + alpha)) - std::lgamma(0.5 * degrees);
  };
  std::vector<double> weights = {std::exp(log_first)}, rates = {0};
  std::vector<double> powers(l, 1.0);  // (1 - beta / s_i^2)^(k-1)
  double sum = weights[0], moment = weights[0] * std::exp(log_moment(0));
  for (size_t k = 1; k < 20000 && sum < 1 - 1e-13; ++k) {
    double rate = 0;
    for (size_t i = 0; i < l; ++i) {
      const double variance = std[i] * std[i];
      rate += static_cast<double>(k) * beta * std::pow(offset[i] / variance, 2) * powers[i];
      powers[i] *= 1 - beta / variance;
      rate += powers[i];
    }
    rates.push_back(rate);
    double weight = 0;
    for (size_t r = 0; r < k; ++r) weight += rates[k - r] * weights[r];
    weight /= 2 * static_cast<double>(k);
    weights.push_back(weight);
    sum += weight;
    moment += weight * std::exp(log_moment(k));
    if (weight < 1e-18 && sum > 0.5) break;
  }
  return std::pow(2 * beta, 0.5 * alpha) * moment;
}

}  // namespace halcyon::model

#endif  // HALCYON_TESTS_MODEL_ENERGY_ENERGY_ORACLE_H_
