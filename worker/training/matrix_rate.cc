#include "worker/training/matrix_rate.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "base/clock.h"
#include "model/noise.h"

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
  double best = 0;
  for (int64_t spent_us = 0; spent_us < kTimeUs;) {
    const int64_t began_us = Clock::Real()->MonotonicUs();
    at::mm_out(product, a, b);
    product[0][0].item();  // on a GPU: waits
    const int64_t took_us = std::max<int64_t>(1, Clock::Real()->MonotonicUs() - began_us);
    best = std::max(best, flops * 1e6 / static_cast<double>(took_us));
    spent_us += took_us;
  }
  return best;
}

}  // namespace halcyon::worker
