#include <algorithm>

#include "model/argmax_tile.h"
#include "worker/cuda/kernels.h"

namespace halcyon::worker {
namespace {

// The table's rows that one block compares: few enough to fill a GPU with blocks when there are few
// hidden states, many enough that the hidden states are read seldom.
constexpr int64_t kColumnsPerBlock = 8 * model::kArgmaxTile;
constexpr int kDecodeThreads = 256;
constexpr int64_t kGridRowsMax = 65535;

struct Block {
  __device__ int index() const { return threadIdx.x; }
  __device__ void Sync() const { __syncthreads(); }
  __device__ void RaiseTo(uint64_t* place, uint64_t key) const {
    atomicMax(reinterpret_cast<unsigned long long*>(place), key);
  }
};

__global__ void RaiseKeys(model::ArgmaxProblem problem, uint64_t* keys) {
  __shared__ model::ArgmaxShared shared;
  const int64_t first_column = static_cast<int64_t>(blockIdx.x) * kColumnsPerBlock;
  const int64_t end = first_column + kColumnsPerBlock;
  model::ArgmaxOfTile(Block{}, problem, static_cast<int64_t>(blockIdx.y) * model::kArgmaxTile,
                      first_column, end < problem.vocab ? end : problem.vocab, shared, keys);
}

__global__ void DecodeKeys(int64_t* keys, int64_t count) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kDecodeThreads + threadIdx.x;
  if (i < count) keys[i] = model::IndexOfArgmaxKey(static_cast<uint64_t>(keys[i]));
}

int64_t BlocksFor(int64_t count, int64_t size) { return (count + size - 1) / size; }

}  // namespace

// The result's memory holds the keys until all blocks have raised them, so no other is needed.
int LaunchArgmax(const CudaArgmax& call, void* stream_pointer) {
  const int64_t row_blocks = BlocksFor(call.row_count, model::kArgmaxTile);
  if (call.row_count < 0 || row_blocks > kGridRowsMax || call.vocab < 1 ||
      call.vocab > UINT32_MAX || call.width < 1) {
    return cudaErrorInvalidValue;
  }
  if (call.row_count == 0) return cudaSuccess;
  const auto stream = static_cast<cudaStream_t>(stream_pointer);
  const size_t bytes = sizeof(int64_t) * static_cast<size_t>(call.row_count);
  if (const cudaError_t error = cudaMemsetAsync(call.result, 0, bytes, stream)) return error;
  const model::ArgmaxProblem problem = {call.rows, call.table, call.row_count, call.vocab,
                                        call.width};
  const dim3 grid(static_cast<unsigned>(BlocksFor(call.vocab, kColumnsPerBlock)),
                  static_cast<unsigned>(row_blocks));
  RaiseKeys<<<grid, model::kArgmaxLanes, 0, stream>>>(problem,
                                                      reinterpret_cast<uint64_t*>(call.result));
  if (const cudaError_t error = cudaGetLastError()) return error;
  const auto blocks = static_cast<unsigned>(BlocksFor(call.row_count, kDecodeThreads));
  DecodeKeys<<<blocks, kDecodeThreads, 0, stream>>>(call.result, call.row_count);
  return cudaGetLastError();
}

}  // namespace halcyon::worker
