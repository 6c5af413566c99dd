// The mathematics of the energy loss, one number at a time, shared by the CPU's kernel and the
// GPU's (HALCYON_HOST_DEVICE), so that the two cannot drift apart.
//
// For y ~ N(mean, diag(s_i^2)), d = x - mean, r = ||x - y||, S = E[r^2] = sum(d_i^2 + s_i^2) and
// 0 < alpha < 2,
//   E[r^alpha] = S^(alpha/2) - c * Integral over t of (M(t) - exp(-t S)) t^(-1-alpha/2) dt,
//   c = (alpha/2) / Gamma(1 - alpha/2),
//   M(t) = E[exp(-t r^2)] = prod_i (1 + 2 t s_i^2)^(-1/2) * exp(-t d_i^2 / (1 + 2 t s_i^2)).
// The integral is at most about a fifth of S^(alpha/2), so nothing cancels, and it vanishes with s.
// At alpha = 2 it is nothing: E[r^2] = S.
// In u = log t the integrand is an analytic bump, so the trapezoid rule converges geometrically.
// Where to start, how far to go and how fine to step follow from bounds on the two tails and from
//   dispersion = V / S^2,  V = sum(s_i^4 + 2 s_i^2 d_i^2) = Var(r^2) / 2,
// which is 1 for one dimension without offset, 1/l for l equal ones, and 0 without noise.
#ifndef HALCYON_MODEL_ENERGY_ENERGY_MATH_H_
#define HALCYON_MODEL_ENERGY_ENERGY_MATH_H_

#include <cmath>

#include "base/host_device.h"

namespace halcyon::model {

// What each tail that is left out may add, relative to S^(alpha/2).
inline constexpr double kTailTolerance = 1e-6;
// The loop's guard; the bounds end it far earlier (about 12 nodes at l = 128, 60 at l = 1).
inline constexpr int kNodesMax = 600;
// E||y - x||^2 below this is a sample resting on a posterior without noise: gradient zero.
inline constexpr float kSecondMomentMin = 1e-35f;
// Squared distances of samples below this are coincidences: the gradient's factor would overflow.
inline constexpr float kCoincident = 1e-30f;

// square^(alpha/2), with the usual exponents spared the logarithm.
HALCYON_HOST_DEVICE inline double DistancePower(double square, double alpha) {
  if (alpha == 1) return std::sqrt(square);
  return alpha == 2 ? square : std::pow(square, 0.5 * alpha);
}

// c above.
inline double IntegralFactor(double alpha) {
  return alpha == 2 ? 0 : 0.5 * alpha / std::tgamma(1.0 - 0.5 * alpha);
}

// The lower end of the integral in tau = t S. For small tau the bump is at most
// dispersion * tau^2 and its derivative in a coordinate at most 2 sqrt(dispersion) * tau; below the
// returned tau the two integrals stay within the tolerance.
HALCYON_HOST_DEVICE inline double FirstTau(double dispersion, double alpha, double factor) {
  const double power = 2.0 - 0.5 * alpha;
  const double value = kTailTolerance * power / (factor * dispersion);
  const double slope = 5.0 * kTailTolerance * alpha * power / (factor * std::sqrt(dispersion));
  const double bound = std::fmin(value, slope);
  return std::fmin(std::pow(bound, 1.0 / power), 0.1);
}

// The step in u. The error of the trapezoid rule falls like dispersion * exp(-pi^2 / step): the
// integrand is analytic for |Im u| < pi / 2.
HALCYON_HOST_DEVICE inline double StepOf(double dispersion) {
  constexpr double kPiSquared = 9.869604401089358;
  const double decades = std::log(1e8 * dispersion);
  return kPiSquared / std::fmax(decades, 11.0);
}

// A point of the trapezoid rule: c * step * t^(-alpha/2) weighs the integrand in u.
struct Node {
  double t;
  double weight;
};
HALCYON_HOST_DEVICE inline Node NodeAt(double u, double step, double alpha, double factor) {
  return {std::exp(u), factor * step * std::exp(-0.5 * alpha * u)};
}

// What a node takes from E[r^alpha], and adds to the factors of d_i in its gradient: `common` for
// every i, and pull * q_i, with q_i = 1 / (1 + 2 t s_i^2).
struct NodeTerms {
  double value;
  double common;
  double pull;
};
// m = M(t), plain = exp(-t S).
HALCYON_HOST_DEVICE inline NodeTerms TermsAt(const Node& node, double m, double plain) {
  const double slope = 2 * node.t * node.weight;
  return {node.weight * (m - plain), -slope * plain, slope * m};
}

// Bound of what lies above a node, relative to S^(alpha/2): of the value (M decreases, so the rest
// of the integral is at most M tau^(-alpha/2) 2/alpha) and of the gradient's norm. `weight` =
// c tau^(-alpha/2), `pull` = sqrt(tau * sum(d_i^2 q_i^2)).
HALCYON_HOST_DEVICE inline double UpperTail(double tau, double weight, double m, double pull,
                                            double alpha) {
  return weight * m * (2.0 / alpha) * (1.0 + std::sqrt(tau) * pull);
}

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_ENERGY_ENERGY_MATH_H_
