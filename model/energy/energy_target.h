// The exact target term of one position: mean over samples of E||y - x_n||^alpha, and its gradient,
// by the quadrature of model/energy/energy_math.h.
#ifndef HALCYON_MODEL_ENERGY_ENERGY_TARGET_H_
#define HALCYON_MODEL_ENERGY_ENERGY_TARGET_H_

#include <cstdint>
#include <vector>

namespace halcyon::model {

// Holds the scratch of one thread. All rows are padded with zeros to `padded` numbers, a multiple
// of kLanes (model/energy/energy_lanes.h).
class ExactTarget {
 public:
  // REQUIRES: 0 < alpha <= 2.
  ExactTarget(int64_t samples, int64_t latent, int64_t padded, double alpha);

  // offsets [samples, padded]: x_n - mean; std [padded]. Overwrites gradient [samples, padded] with
  // that of 2 * the returned value. A sample that rests on a posterior without noise has no
  // gradient; values that are not finite make the value and the gradient NaN.
  double Run(const float* offsets, const float* std, float* gradient);

 private:
  // Squares, moments and their scale; false when the scale is not a positive finite number.
  bool Prepare(const float* offsets, const float* std);
  // All nodes of the quadrature: values_, common_ and pulls_.
  void Integrate();
  // One node: whether what lies above it is below kTailTolerance for every sample.
  bool IsLast(double t, double weight, double step) const;

  // Everything below is in units where the largest E||y - x_n||^2 of the position is 1.
  int64_t samples_, latent_, padded_;
  double alpha_, factor_;
  double scale_ = 0;               // that largest value
  double dispersion_max_ = 0;      // over the samples
  float variance_min_ = 0;         // over the dimensions
  std::vector<float> variance_;    // [padded]
  std::vector<float> squares_;     // [samples, padded]: d_i^2
  std::vector<float> shrink_;      // [padded]: q_i = 1 / (1 + 2 t s_i^2) at the present node
  std::vector<float> pulls_;       // [samples, padded]: the factor of d_i, except for common_
  std::vector<double> common_;     // [samples]: the part of that factor that is the same for all i
  std::vector<double> values_;     // [samples]: E||y - x_n||^alpha
  std::vector<double> second_;     // [samples]: S
  std::vector<double> plain_;      // [samples]: S^(alpha/2)
  std::vector<double> distance_;   // [samples]: sum(d_i^2 q_i) at the present node
  std::vector<double> exponents_;  // M / prod(q_i)^(1/2), then exp(-t S), each of all samples
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_ENERGY_ENERGY_TARGET_H_
