// AdamW of one element, for both sides of a CUDA compiler: the formula of model/optimizer.h.
#ifndef HALCYON_MODEL_KERNELS_ADAMW_ELEMENT_H_
#define HALCYON_MODEL_KERNELS_ADAMW_ELEMENT_H_

#include <cmath>
#include <cstdint>

#include "base/host_device.h"

namespace halcyon::model {

// What all elements of an update share; AdamWFactorsOf (model/optimizer.h) makes them.
struct AdamWFactors {
  float rate, unbias, shrink, beta1, rest1, beta2, rest2, epsilon, scale;
};

struct AdamWElement {
  float value, exp_avg, exp_avg_sq;
};

HALCYON_HOST_DEVICE inline AdamWElement UpdateElement(const AdamWFactors& f,
                                                      const AdamWElement& old, float gradient,
                                                      uint8_t decays) {
  const float g = f.scale * gradient;
  const float m = f.beta1 * old.exp_avg + f.rest1 * g;
  const float v = f.beta2 * old.exp_avg_sq + f.rest2 * g * g;
  const float kept = old.value * (1.0f - f.shrink * static_cast<float>(decays));
  return {kept - f.rate * m / (sqrtf(v) * f.unbias + f.epsilon), m, v};
}

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_KERNELS_ADAMW_ELEMENT_H_
