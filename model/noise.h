// Noise as tensors, drawn per sample from Philox: row b is a function of (seed, stream, step,
// samples[b]) alone, whatever the batch it is in.
#ifndef HALCYON_MODEL_NOISE_H_
#define HALCYON_MODEL_NOISE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "base/philox.h"

namespace halcyon::model {

struct NoiseKey {
  uint64_t seed = 0;
  NoiseStream stream{};
  uint64_t step = 0;
};

// float32 [samples.size(), row...]; uniform on [0, 1), or standard normal.
at::Tensor UniformNoise(const NoiseKey& key, std::span<const uint64_t> samples,
                        const std::vector<int64_t>& row);
at::Tensor NormalNoise(const NoiseKey& key, std::span<const uint64_t> samples,
                       const std::vector<int64_t>& row);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_NOISE_H_
