// What the autoencoder gives for a chunk: a normal distribution of its latent.
#ifndef HALCYON_MODEL_POSTERIOR_H_
#define HALCYON_MODEL_POSTERIOR_H_

#include <ATen/core/Tensor.h>

namespace halcyon::model {

// log_std is clamped to this, so that a half float holds it and exp stays finite.
inline constexpr double kLogStdMin = -10;
inline constexpr double kLogStdMax = 4;

// [chunks, latent] each; log_std is the logarithm of the standard deviation.
struct Posterior {
  at::Tensor mean;
  at::Tensor log_std;
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_POSTERIOR_H_
