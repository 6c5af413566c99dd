#include <algorithm>

#include "base/philox_numbers.h"
#include "worker/cuda/kernels.h"

namespace halcyon::worker {
namespace {

constexpr int kNoiseThreads = 256;
constexpr int64_t kNoiseGridMax = 1 << 20;
// Rows of one launch: their ids travel with its parameters, of which there may be 4 KiB, so that no
// copy has to be waited for.
constexpr int64_t kRowsPerLaunch = 512;

struct Rows {
  uint32_t sample[kRowsPerLaunch];
};

struct Fill {
  PhiloxKey key;
  uint32_t step;
  int64_t width;
  uint64_t first;
  float* out;
};

// A thread makes the four numbers of one counter; blockIdx.y is the row.
template <bool kIsNormal>
__global__ void FillNumbers(Rows rows, Fill fill) {
  const uint64_t block_first = fill.first / kNumbersPerPhiloxBlock;
  const uint64_t block_last = (fill.first + fill.width - 1) / kNumbersPerPhiloxBlock;
  const uint32_t sample = rows.sample[blockIdx.y];
  float* out = fill.out + static_cast<int64_t>(blockIdx.y) * fill.width;
  const uint64_t stride = static_cast<uint64_t>(gridDim.x) * blockDim.x;
  const uint64_t thread = static_cast<uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (uint64_t block = block_first + thread; block <= block_last; block += stride) {
    FillFromCounter<kIsNormal>(block, fill.key, fill.step, sample, fill.first, fill.width, out);
  }
}

}  // namespace

int LaunchNoise(const CudaNoise& call, void* stream_pointer) {
  if (call.row_count < 0 || call.width < 0) return cudaErrorInvalidValue;
  if (call.row_count == 0 || call.width == 0) return cudaSuccess;
  const auto stream = static_cast<cudaStream_t>(stream_pointer);
  const int64_t counters = call.width / 4 + 2;
  const int64_t blocks = std::min((counters + kNoiseThreads - 1) / kNoiseThreads, kNoiseGridMax);
  for (int64_t row = 0; row < call.row_count; row += kRowsPerLaunch) {
    const int64_t count = std::min(kRowsPerLaunch, call.row_count - row);
    Rows rows = {};
    for (int64_t r = 0; r < count; ++r) {
      if (call.samples[row + r] >> 32 != 0) return cudaErrorInvalidValue;
      rows.sample[r] = static_cast<uint32_t>(call.samples[row + r]);
    }
    const Fill fill = {.key = {{call.key[0], call.key[1]}},
                       .step = call.step,
                       .width = call.width,
                       .first = call.first,
                       .out = call.out + row * call.width};
    const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(count));
    const auto kernel = call.is_normal ? FillNumbers<true> : FillNumbers<false>;
    kernel<<<grid, kNoiseThreads, 0, stream>>>(rows, fill);
    if (const cudaError_t error = cudaGetLastError()) return error;
  }
  return cudaSuccess;
}

}  // namespace halcyon::worker
