// Noise as tensors, drawn per row from Philox: row b is a function of (seed, stream, step, rows[b])
// alone, whatever the batch it is in.
#ifndef HALCYON_MODEL_NOISE_H_
#define HALCYON_MODEL_NOISE_H_

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <vector>

#include "base/philox.h"

namespace halcyon::model {

// Whose random numbers: a row is a sample of the global batch, a window, a text.
struct NoiseRows {
  uint64_t seed = 0;
  NoiseStream stream{};
  uint64_t step = 0;
  std::vector<uint64_t> rows;

  // float32 [rows.size(), shape...], made on `device`: numbers first, first + 1, ... of each row's
  // stream, uniform on [0, 1) or standard normal. Uniform numbers are the same bits on every
  // device; normal ones are within 2 units in the last place of the CPU's.
  at::Tensor Uniform(const std::vector<int64_t>& shape, c10::Device device,
                     uint64_t first = 0) const;
  at::Tensor Normal(const std::vector<int64_t>& shape, c10::Device device,
                    uint64_t first = 0) const;
  // On the host.
  at::Tensor Uniform(const std::vector<int64_t>& shape, uint64_t first = 0) const {
    return Uniform(shape, c10::kCPU, first);
  }
  at::Tensor Normal(const std::vector<int64_t>& shape, uint64_t first = 0) const {
    return Normal(shape, c10::kCPU, first);
  }

  // The same rows with the numbers of another purpose.
  NoiseRows With(NoiseStream other) const { return {seed, other, step, rows}; }
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_NOISE_H_
