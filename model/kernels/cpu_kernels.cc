#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "base/check.h"
#include "model/argmax.h"
#include "model/energy/energy_loss.h"
#include "model/kernels/device_kernels.h"
#include "model/optimizer.h"

namespace halcyon::model {
namespace {

constexpr int64_t kSquaresBlock = 1 << 16;
// Sums that are added up side by side, so that no addition waits for the one before it.
constexpr int64_t kSquaresLanes = 8;

double SquaresOfBlock(const float* values, int64_t count) {
  std::array<double, kSquaresLanes> sums = {};
  int64_t i = 0;
  for (; i + kSquaresLanes <= count; i += kSquaresLanes) {
    for (int64_t lane = 0; lane < kSquaresLanes; ++lane) {
      sums[lane] += double{values[i + lane]} * values[i + lane];
    }
  }
  for (; i < count; ++i) sums[0] += double{values[i]} * values[i];
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

template <typename T>
std::span<T> SpanOf(const at::Tensor& tensor) {
  HALCYON_CHECK(tensor.is_contiguous());
  return {tensor.mutable_data_ptr<std::remove_const_t<T>>(), static_cast<size_t>(tensor.numel())};
}

class CpuKernels final : public DeviceKernels {
 public:
  void FillRows(const RowNumbers& numbers, const at::Tensor& out) const override {
    const int64_t rows = static_cast<int64_t>(numbers.samples.size());
    HALCYON_CHECK(out.is_contiguous() && (rows == 0 || out.size(0) == rows));
    const size_t width = rows == 0 ? 0 : static_cast<size_t>(out.numel() / rows);
    float* values = out.data_ptr<float>();
    at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const PhiloxStream stream(numbers.seed, numbers.stream, numbers.step, numbers.samples[row]);
        const std::span<float> place(values + row * width, width);
        if (numbers.law == RowNumbers::Law::kUniform) {
          stream.FillUniform(numbers.first, place);
        } else {
          stream.FillNormal(numbers.first, place);
        }
      }
    });
  }

  void AdamW(const AdamWUpdate& update, const AdamWArrays& arrays) const override {
    AdamWStep(update.train, update.learning_rate, update.update, update.gradient_scale,
              {.value = SpanOf<float>(arrays.value),
               .exp_avg = SpanOf<float>(arrays.exp_avg),
               .exp_avg_sq = SpanOf<float>(arrays.exp_avg_sq),
               .gradient = SpanOf<const float>(arrays.gradient),
               .decays = SpanOf<const uint8_t>(arrays.decays)});
  }

  void SumOfSquares(const at::Tensor& values, const at::Tensor& sum) const override {
    const std::span<const float> all = SpanOf<const float>(values);
    const int64_t count = static_cast<int64_t>(all.size());
    const int64_t blocks = (count + kSquaresBlock - 1) / kSquaresBlock;
    std::vector<double> sums(blocks);
    at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const int64_t first = b * kSquaresBlock;
        sums[b] = SquaresOfBlock(all.data() + first, std::min(kSquaresBlock, count - first));
      }
    });
    double total = 0;
    for (const double part : sums) total += part;
    *sum.data_ptr<double>() = total;
  }

  EnergyPass Energy(const EnergyInputs& inputs) const override { return EnergyOnCpu(inputs); }

  at::Tensor Argmax(const at::Tensor& rows, const at::Tensor& table) const override {
    return ArgmaxOnCpu(rows, table);
  }
};

std::array<const DeviceKernels*, c10::COMPILE_TIME_MAX_DEVICE_TYPES> registered_kernels = {};

}  // namespace

const DeviceKernels& KernelsFor(c10::Device device) {
  static const CpuKernels cpu_kernels;
  if (device.is_cpu()) return cpu_kernels;
  const DeviceKernels* const kernels = registered_kernels[static_cast<size_t>(device.type())];
  HALCYON_CHECK(kernels != nullptr);
  return *kernels;
}

void RegisterKernels(c10::DeviceType type, const DeviceKernels* kernels) {
  registered_kernels[static_cast<size_t>(type)] = kernels;
}

}  // namespace halcyon::model
