#include <algorithm>

#include "model/energy/energy_row.h"
#include "worker/cuda/kernels.h"

namespace halcyon::worker {
namespace {

constexpr int kWarp = 32;
// A block is one position; a warp takes one sample after another.
constexpr int64_t kWarpsMax = 8;

struct Warp {
  __device__ int64_t index() const { return threadIdx.x % kWarp; }
  __device__ int64_t size() const { return kWarp; }
  // A butterfly reduction: each lane ends with the same bits.
  __device__ float Sum(float value) const {
    for (int mask = kWarp / 2; mask > 0; mask /= 2) value += __shfl_xor_sync(~0u, value, mask);
    return value;
  }
  __device__ double Product(double value) const {
    for (int mask = kWarp / 2; mask > 0; mask /= 2) value *= __shfl_xor_sync(~0u, value, mask);
    return value;
  }
};

// `factor` comes from the host, which has the Gamma function once for all blocks.
__global__ void EnergyLossOfPositions(CudaEnergyLoss call, double factor) {
  extern __shared__ double terms[];  // [count, 2]: target and spread of each sample
  const int64_t row = static_cast<int64_t>(blockIdx.x) * call.latent;
  const int64_t stride = call.positions * call.latent;
  const model::EnergyPosition position = {
      .samples = call.samples + row,
      .stride = stride,
      .count = call.count,
      .latent = call.latent,
      .mean = call.mean + row,
      .std = call.std + row,
      .normal = call.draws > 0 ? call.normal + row : nullptr,
      .draws = call.draws,
      .alpha = call.alpha,
      .factor = factor,
  };
  const Warp warp;
  for (int64_t n = threadIdx.x / kWarp; n < call.count; n += blockDim.x / kWarp) {
    float* gradient = call.gradient + row + n * stride;
    const double target = model::TargetOfRow(warp, position, n, gradient);
    const double spread = model::SpreadOfRow(warp, position, n, gradient);
    if (warp.index() == 0) {
      terms[2 * n] = target;
      terms[2 * n + 1] = spread;
    }
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
  double target = 0, spread = 0;
  for (int64_t n = 0; n < call.count; ++n) {
    target += terms[2 * n];
    spread += terms[2 * n + 1];
  }
  const double count = static_cast<double>(call.count);
  target /= count;
  spread /= count * (count - 1);
  call.energy[blockIdx.x] = static_cast<float>(2 * target - spread);
  call.target[blockIdx.x] = static_cast<float>(target);
  call.spread[blockIdx.x] = static_cast<float>(spread);
}

}  // namespace

int LaunchEnergyLoss(const CudaEnergyLoss& call, void* stream) {
  if (call.count < 2 || call.latent < 1 || call.positions < 0 || call.positions > INT32_MAX ||
      !(call.alpha > 0 && call.alpha <= 2)) {
    return cudaErrorInvalidValue;
  }
  if (call.positions == 0) return cudaSuccess;
  const int64_t warps = std::min(call.count, kWarpsMax);
  const size_t shared_bytes = 2 * sizeof(double) * static_cast<size_t>(call.count);
  EnergyLossOfPositions<<<static_cast<unsigned>(call.positions),
                          static_cast<unsigned>(warps * kWarp), shared_bytes,
                          static_cast<cudaStream_t>(stream)>>>(call,
                                                               model::IntegralFactor(call.alpha));
  return cudaGetLastError();
}

}  // namespace halcyon::worker
