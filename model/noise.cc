#include "model/noise.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <span>

namespace halcyon::model {
namespace {

template <typename Fill>
at::Tensor DrawRows(const NoiseRows& noise, const std::vector<int64_t>& row, const Fill& fill) {
  std::vector<int64_t> shape = {static_cast<int64_t>(noise.rows.size())};
  shape.insert(shape.end(), row.begin(), row.end());
  at::Tensor numbers = at::empty(shape, at::kFloat);
  size_t row_size = 1;
  for (const int64_t size : row) row_size *= static_cast<size_t>(size);
  float* values = numbers.data_ptr<float>();
  at::parallel_for(0, shape[0], 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const PhiloxStream stream(noise.seed, noise.stream, noise.step, noise.rows[b]);
      fill(stream, std::span<float>(values + b * row_size, row_size));
    }
  });
  return numbers;
}

}  // namespace

at::Tensor NoiseRows::Uniform(const std::vector<int64_t>& shape, uint64_t first) const {
  return DrawRows(*this, shape, [first](const PhiloxStream& stream, std::span<float> out) {
    stream.FillUniform(first, out);
  });
}

at::Tensor NoiseRows::Normal(const std::vector<int64_t>& shape, uint64_t first) const {
  return DrawRows(*this, shape, [first](const PhiloxStream& stream, std::span<float> out) {
    stream.FillNormal(first, out);
  });
}

}  // namespace halcyon::model
