#include "model/noise.h"

#include <ATen/ATen.h>

#include "model/kernels/device_kernels.h"

namespace halcyon::model {
namespace {

at::Tensor DrawRows(const NoiseRows& noise, const std::vector<int64_t>& row, c10::Device device,
                    uint64_t first, RowNumbers::Law law) {
  std::vector<int64_t> shape = {static_cast<int64_t>(noise.rows.size())};
  shape.insert(shape.end(), row.begin(), row.end());
  at::Tensor numbers = at::empty(shape, at::TensorOptions(at::kFloat).device(device));
  KernelsFor(device).FillRows({noise.seed, noise.stream, noise.step, noise.rows, first, law},
                              numbers);
  return numbers;
}

}  // namespace

at::Tensor NoiseRows::Uniform(const std::vector<int64_t>& shape, c10::Device device,
                              uint64_t first) const {
  return DrawRows(*this, shape, device, first, RowNumbers::Law::kUniform);
}

at::Tensor NoiseRows::Normal(const std::vector<int64_t>& shape, c10::Device device,
                             uint64_t first) const {
  return DrawRows(*this, shape, device, first, RowNumbers::Law::kNormal);
}

}  // namespace halcyon::model
