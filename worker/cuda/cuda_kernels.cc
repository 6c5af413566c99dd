#include "worker/cuda/cuda_kernels.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include "base/check.h"
#include "model/optimizer.h"
#include "worker/cuda/kernels.h"

namespace halcyon::worker {
namespace {

using model::AdamWArrays;
using model::AdamWUpdate;
using model::EnergyPass;
using model::RowNumbers;

// The device of a call's tensors, made the current one, and its current stream. Scratch tensors may
// be dropped as soon as the kernels are launched: the caching allocator gives their memory only to
// what comes later on the stream that was current when they were made.
class Launch {
 public:
  explicit Launch(const at::Tensor& tensor) : guard_(tensor.device()) {
    HALCYON_CHECK(tensor.is_cuda());
  }
  void* stream() const { return c10::cuda::getCurrentCUDAStream().stream(); }
  void Expect(int status, const char* kernel) const {
    TORCH_CHECK(status == cudaSuccess, kernel, ": ",
                cudaGetErrorString(static_cast<cudaError_t>(status)));
  }

 private:
  const c10::cuda::CUDAGuard guard_;
};

template <typename T>
T* Place(const at::Tensor& tensor) {
  HALCYON_CHECK(tensor.is_cuda() && tensor.is_contiguous());
  return tensor.mutable_data_ptr<T>();
}

template <typename T>
const T* Read(const at::Tensor& tensor) {
  HALCYON_CHECK(tensor.is_cuda() && tensor.is_contiguous());
  return tensor.const_data_ptr<T>();
}

class Kernels final : public model::DeviceKernels {
 public:
  void FillRows(const RowNumbers& numbers, const at::Tensor& out) const override {
    const int64_t rows = static_cast<int64_t>(numbers.samples.size());
    HALCYON_CHECK(rows == 0 || out.size(0) == rows);
    if (rows == 0) return;
    const Launch launch(out);
    const auto key = PhiloxStream(numbers.seed, numbers.stream, numbers.step, 0).key();
    launch.Expect(LaunchNoise({.key = {key[0], key[1]},
                               .step = static_cast<uint32_t>(numbers.step),
                               .samples = numbers.samples.data(),
                               .row_count = rows,
                               .width = out.numel() / rows,
                               .first = numbers.first,
                               .is_normal = numbers.law == RowNumbers::Law::kNormal,
                               .out = Place<float>(out)},
                              launch.stream()),
                  "noise");
  }

  void AdamW(const AdamWUpdate& update, const AdamWArrays& arrays) const override {
    const int64_t count = arrays.value.numel();
    HALCYON_CHECK(update.update >= 1 && arrays.exp_avg.numel() == count &&
                  arrays.exp_avg_sq.numel() == count && arrays.gradient.numel() == count &&
                  arrays.decays.numel() == count);
    const Launch launch(arrays.value);
    launch.Expect(LaunchAdamW({.value = Place<float>(arrays.value),
                               .exp_avg = Place<float>(arrays.exp_avg),
                               .exp_avg_sq = Place<float>(arrays.exp_avg_sq),
                               .gradient = Read<float>(arrays.gradient),
                               .decays = Read<uint8_t>(arrays.decays),
                               .count = count},
                              model::AdamWFactorsOf(update.train, update.learning_rate,
                                                    update.update, update.gradient_scale),
                              launch.stream()),
                  "AdamW");
  }

  void SumOfSquares(const at::Tensor& values, const at::Tensor& sum) const override {
    const Launch launch(values);
    const at::Tensor partial = at::empty({SquaresBlocks(values.numel())}, sum.options());
    launch.Expect(LaunchSquares({.values = Read<float>(values),
                                 .count = values.numel(),
                                 .partial = Place<double>(partial),
                                 .sum = Place<double>(sum)},
                                launch.stream()),
                  "sum of squares");
  }

  EnergyPass Energy(const model::EnergyInputs& inputs) const override {
    const at::Tensor& samples = inputs.samples;
    const bool exact = !inputs.normal.defined();
    const Launch launch(samples);
    const at::TensorOptions options = samples.options().requires_grad(false);
    const int64_t positions = samples.size(1);
    const EnergyPass pass = {at::empty({positions}, options), at::empty({positions}, options),
                             at::empty({positions}, options), at::empty(samples.sizes(), options)};
    launch.Expect(LaunchEnergyLoss({.samples = Read<float>(samples),
                                    .mean = Read<float>(inputs.mean),
                                    .std = Read<float>(inputs.std),
                                    .normal = exact ? nullptr : Read<float>(inputs.normal),
                                    .draws = exact ? 0 : inputs.normal.size(0),
                                    .count = samples.size(0),
                                    .positions = positions,
                                    .latent = samples.size(2),
                                    .alpha = inputs.alpha,
                                    .energy = Place<float>(pass.energy),
                                    .target = Place<float>(pass.target),
                                    .spread = Place<float>(pass.spread),
                                    .gradient = Place<float>(pass.gradient)},
                                   launch.stream()),
                  "energy loss");
    return pass;
  }

  at::Tensor Argmax(const at::Tensor& rows, const at::Tensor& table) const override {
    const Launch launch(rows);
    const at::Tensor result = at::empty({rows.size(0)}, rows.options().dtype(at::kLong));
    launch.Expect(LaunchArgmax({.rows = Read<float>(rows),
                                .table = Read<float>(table),
                                .row_count = rows.size(0),
                                .vocab = table.size(0),
                                .width = rows.size(1),
                                .result = Place<int64_t>(result)},
                               launch.stream()),
                  "argmax");
    return result;
  }
};

}  // namespace

const model::DeviceKernels& CudaKernels() {
  static const Kernels kernels;
  return kernels;
}

}  // namespace halcyon::worker
