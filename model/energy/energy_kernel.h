// The energy loss of one position, forward and gradient together, on plain arrays.
#ifndef HALCYON_MODEL_ENERGY_ENERGY_KERNEL_H_
#define HALCYON_MODEL_ENERGY_ENERGY_KERNEL_H_

#include <cstdint>
#include <vector>

#include "model/energy/energy_target.h"

namespace halcyon::model {

// Holds the scratch of one thread. Sums run in a fixed order in fixed lanes, so the bits of a
// position depend on nothing but its inputs.
class EnergyKernel {
 public:
  // REQUIRES: samples >= 2, latent >= 1, 0 < alpha <= 2.
  EnergyKernel(int64_t samples, int64_t latent, double alpha);

  struct Input {
    const float* samples;  // sample n starts at n * stride
    int64_t stride;
    const float* mean;  // [latent]
    const float* std;   // [latent]
    // With draws > 0 the target term is the mean over mean + std * normal, draw m's numbers at
    // m * stride; otherwise it is exact.
    const float* normal = nullptr;
    int64_t draws = 0;
  };
  struct Terms {
    double target;  // mean over n of E||y - x_n||^alpha
    double spread;  // mean over n != k of ||x_n - x_k||^alpha
  };
  // Writes d(2 target - spread) / dx_n to gradient + n * stride. Where samples coincide, or a
  // sample sits on its target, that part of the gradient is zero. Values that are not finite make
  // the terms and the gradient NaN.
  Terms Run(const Input& input, float* gradient);

 private:
  double SampledTarget(const Input& input);

  int64_t samples_, latent_, padded_;
  double alpha_;
  ExactTarget exact_;
  // Rows padded to `padded_`.
  std::vector<float> rows_;      // [samples]: x_n
  std::vector<float> offsets_;   // [samples]: x_n - mean
  std::vector<float> gradient_;  // [samples]
  std::vector<float> std_;       // one row
  std::vector<float> draw_;      // one row: y - mean
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_ENERGY_ENERGY_KERNEL_H_
