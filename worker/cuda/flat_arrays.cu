// What is done to a shard's flat arrays: one pass over memory each.
#include <algorithm>

#include "worker/cuda/kernels.h"

namespace halcyon::worker {
namespace {

constexpr int kFlatThreads = 256;
constexpr int64_t kFlatGridMax = 1 << 16;
// Elements whose squares one block of threads adds up. Fixed, so that the order of the sum is.
constexpr int64_t kSquaresBlock = 1 << 16;

__global__ void UpdateElements(CudaAdamW a, model::AdamWFactors factors) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < a.count;
       i += stride) {
    const model::AdamWElement updated = model::UpdateElement(
        factors, {a.value[i], a.exp_avg[i], a.exp_avg_sq[i]}, a.gradient[i], a.decays[i]);
    a.value[i] = updated.value;
    a.exp_avg[i] = updated.exp_avg;
    a.exp_avg_sq[i] = updated.exp_avg_sq;
  }
}

// The sum over the block's threads, in the same order each time; of thread 0.
__device__ double SumOfBlock(double value) {
  __shared__ double sums[kFlatThreads];
  sums[threadIdx.x] = value;
  for (int half = kFlatThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  return sums[0];
}

__global__ void SumSquares(CudaSquares call) {
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * kSquaresBlock;
  const int64_t last = begin + kSquaresBlock;
  const int64_t end = last < call.count ? last : call.count;
  double sum = 0;
  for (int64_t i = begin + threadIdx.x; i < end; i += kFlatThreads) {
    sum += static_cast<double>(call.values[i]) * call.values[i];
  }
  sum = SumOfBlock(sum);
  if (threadIdx.x == 0) call.partial[blockIdx.x] = sum;
}

// One block of threads.
__global__ void SumPartial(CudaSquares call, int64_t blocks) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < blocks; i += kFlatThreads) sum += call.partial[i];
  sum = SumOfBlock(sum);
  if (threadIdx.x == 0) *call.sum = sum;
}

}  // namespace

int LaunchAdamW(const CudaAdamW& arrays, const model::AdamWFactors& factors, void* stream) {
  if (arrays.count < 0) return cudaErrorInvalidValue;
  if (arrays.count == 0) return cudaSuccess;
  const int64_t blocks = std::min((arrays.count + kFlatThreads - 1) / kFlatThreads, kFlatGridMax);
  UpdateElements<<<static_cast<unsigned>(blocks), kFlatThreads, 0,
                   static_cast<cudaStream_t>(stream)>>>(arrays, factors);
  return cudaGetLastError();
}

int64_t SquaresBlocks(int64_t count) { return (count + kSquaresBlock - 1) / kSquaresBlock; }

int LaunchSquares(const CudaSquares& call, void* stream_pointer) {
  const int64_t blocks = SquaresBlocks(call.count);
  if (call.count < 0 || blocks > INT32_MAX) return cudaErrorInvalidValue;
  const auto stream = static_cast<cudaStream_t>(stream_pointer);
  if (blocks > 0) {
    SumSquares<<<static_cast<unsigned>(blocks), kFlatThreads, 0, stream>>>(call);
    if (const cudaError_t error = cudaGetLastError()) return error;
  }
  SumPartial<<<1, kFlatThreads, 0, stream>>>(call, blocks);
  return cudaGetLastError();
}

}  // namespace halcyon::worker
