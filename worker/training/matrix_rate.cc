#include "worker/training/matrix_rate.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "model/noise.h"
#include "worker/best_time.h"

namespace halcyon::worker {
namespace {

// Wide enough that starting a product costs nothing beside it.
constexpr int64_t kWidth = 1024, kGpuWidth = 8192;
constexpr int64_t kTimeUs = 200'000;

}  // namespace

double MeasureMatrixRate(at::ScalarType type, c10::Device device) {
  const c10::NoGradGuard no_grad;
  const int64_t width = device.is_cuda() ? kGpuWidth : kWidth;
  // Random numbers: a GPU is faster on equal ones, which take less power.
  const model::NoiseRows rows{/*seed=*/1, NoiseStream::kEvaluation, /*step=*/0, {0}};
  const at::Tensor a = rows.Normal({width, width}, device).squeeze(0).to(type), b = a.t();
  const double flops = 2.0 * static_cast<double>(width) * static_cast<double>(width * width);
  at::Tensor product = at::mm(a, b);  // the first one chooses and prepares its kernel
  const int64_t best_us = BestTimeUs(kTimeUs, [&] {
    at::mm_out(product, a, b);
    product[0][0].item();  // on a GPU: waits
  });
  return flops * 1e6 / static_cast<double>(best_us);
}

}  // namespace halcyon::worker
