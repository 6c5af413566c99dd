#include "model/noise.h"

#include <ATen/ATen.h>

#include "model/kernels/device_kernels.h"

namespace halcyon::model {
namespace {

at::Tensor DrawRows(const NoiseRows& noise, const std::vector<int64_t>& row, uint64_t first,
                    RowNumbers::Law law) {
  std::vector<int64_t> shape = {static_cast<int64_t>(noise.rows.size())};
  shape.insert(shape.end(), row.begin(), row.end());
  at::Tensor numbers = at::empty(shape, at::TensorOptions(at::kFloat).device(noise.device));
  KernelsFor(noise.device)
      .FillRows({noise.seed, noise.stream, noise.step, noise.rows, first, law}, numbers);
  return numbers;
}

}  // namespace

at::Tensor NoiseRows::Uniform(const std::vector<int64_t>& shape, uint64_t first) const {
  return DrawRows(*this, shape, first, RowNumbers::Law::kUniform);
}

at::Tensor NoiseRows::Normal(const std::vector<int64_t>& shape, uint64_t first) const {
  return DrawRows(*this, shape, first, RowNumbers::Law::kNormal);
}

}  // namespace halcyon::model
