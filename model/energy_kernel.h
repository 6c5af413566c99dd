// The energy loss of one position, forward and gradient together, on plain arrays.
#ifndef HALCYON_MODEL_ENERGY_KERNEL_H_
#define HALCYON_MODEL_ENERGY_KERNEL_H_

#include <cstdint>
#include <vector>

namespace halcyon::model {

// Holds the scratch of one thread. Sums run in a fixed order in fixed lanes, so the bits of a
// position depend on nothing but its inputs.
class EnergyKernel {
 public:
  // REQUIRES: samples >= 2, latent >= 1, 0 < alpha < 2.
  EnergyKernel(int64_t samples, int64_t latent, double alpha);

  struct Input {
    const float* samples;  // sample n starts at n * stride
    int64_t stride;
    const float* mean;      // [latent]
    const float* variance;  // [latent]
  };
  struct Terms {
    double target;  // mean over n of E||y - x_n||^alpha
    double spread;  // mean over n != k of ||x_n - x_k||^alpha
  };
  // Writes d(2 target - spread) / dx_n to gradient + n * stride. Where samples coincide, or a
  // sample sits on a posterior without noise, that part of the gradient is zero. Values that are
  // not finite make the terms and the gradient NaN.
  Terms Run(const Input& input, float* gradient);

 private:
  double AddTarget(const Input& input, float* gradient);
  double AddSpread(const Input& input, float* gradient) const;
  // Squared offsets, moments and their scale; false when the scale is not a positive finite number.
  bool Prepare(const Input& input);
  // All nodes of the quadrature: corrections_, and the factors of d_i in the gradient.
  void Integrate();
  // The smallest u = log t at which any sample needs a node, and the step.
  void ChooseGrid(double* first, double* step) const;
  // One node. Returns a bound of what lies above it, which is below kTailTolerance only when that
  // holds for every sample.
  double AddNode(double t, double weight);

  // Everything below is in units where the largest E||y - x_n||^2 of the position is 1.
  int64_t samples_, latent_, padded_;
  double alpha_, factor_;
  double scale_ = 0;                // that largest value
  std::vector<float> variance_;     // [padded]
  std::vector<float> squares_;      // [samples, padded]: d_i^2
  std::vector<float> shrink_;       // [padded]: q_i = 1 / (1 + 2 t s_i^2) at the present node
  std::vector<float> pulls_;        // [samples, padded]: the factor of d_i, except for common_
  std::vector<double> common_;      // [samples]: the part of that factor that is the same for all i
  std::vector<double> values_;      // [samples]: E||y - x_n||^alpha
  std::vector<double> second_;      // [samples]: S
  std::vector<double> dispersion_;  // [samples]
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_ENERGY_KERNEL_H_
