#include "model/noise.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

namespace halcyon::model {
namespace {

template <typename Fill>
at::Tensor DrawRows(const NoiseKey& key, std::span<const uint64_t> samples,
                    const std::vector<int64_t>& row, const Fill& fill) {
  std::vector<int64_t> shape = {static_cast<int64_t>(samples.size())};
  shape.insert(shape.end(), row.begin(), row.end());
  at::Tensor noise = at::empty(shape, at::kFloat);
  size_t row_size = 1;
  for (const int64_t size : row) row_size *= static_cast<size_t>(size);
  float* values = noise.data_ptr<float>();
  at::parallel_for(0, static_cast<int64_t>(samples.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const PhiloxStream stream(key.seed, key.stream, key.step, samples[b]);
      fill(stream, std::span<float>(values + b * row_size, row_size));
    }
  });
  return noise;
}

}  // namespace

at::Tensor UniformNoise(const NoiseKey& key, std::span<const uint64_t> samples,
                        const std::vector<int64_t>& row) {
  return DrawRows(key, samples, row, [](const PhiloxStream& stream, std::span<float> out) {
    stream.FillUniform(0, out);
  });
}

at::Tensor NormalNoise(const NoiseKey& key, std::span<const uint64_t> samples,
                       const std::vector<int64_t>& row) {
  return DrawRows(key, samples, row, [](const PhiloxStream& stream, std::span<float> out) {
    stream.FillNormal(0, out);
  });
}

}  // namespace halcyon::model
