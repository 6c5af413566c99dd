#include "worker/training/matrix_rate.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "base/clock.h"

namespace halcyon::worker {
namespace {

constexpr int64_t kWidth = 1024;
constexpr int64_t kTimeUs = 200'000;
constexpr double kFlops = 2.0 * kWidth * kWidth * kWidth;

}  // namespace

double MeasureMatrixRate(at::ScalarType type, c10::Device device) {
  const c10::NoGradGuard no_grad;
  const at::TensorOptions options = at::TensorOptions(type).device(device);
  const at::Tensor a = at::full({kWidth, kWidth}, 0.5, options), b = a.clone();
  at::Tensor product = at::mm(a, b);  // the first one chooses and prepares its kernel
  double best = 0;
  for (int64_t spent_us = 0; spent_us < kTimeUs;) {
    const int64_t began_us = Clock::Real()->MonotonicUs();
    at::mm_out(product, a, b);
    product[0][0].item();  // on a GPU: waits
    const int64_t took_us = std::max<int64_t>(1, Clock::Real()->MonotonicUs() - began_us);
    best = std::max(best, kFlops * 1e6 / static_cast<double>(took_us));
    spent_us += took_us;
  }
  return best;
}

}  // namespace halcyon::worker
