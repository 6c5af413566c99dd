// The plugin's kernels as its other files launch them: without CUDA in this header, without
// LibTorch in the .cu files. Every pointer is device memory unless said, every stream a
// cudaStream_t. Calls are asynchronous; each returns a cudaError_t, cudaErrorInvalidValue for sizes
// that are forbidden.
#ifndef HALCYON_WORKER_CUDA_KERNELS_H_
#define HALCYON_WORKER_CUDA_KERNELS_H_

#include <cstddef>
#include <cstdint>

#include "model/kernels/adamw_element.h"

namespace halcyon::worker {

// The energy loss (model/energy/energy_loss.h) of every position. float32; count >= 2,
// 0 < alpha <= 2.
struct CudaEnergyLoss {
  const float* samples = nullptr;  // [count, positions, latent]
  const float* mean = nullptr;     // [positions, latent]
  const float* std = nullptr;      // [positions, latent]
  const float* normal = nullptr;   // [draws, positions, latent]
  int64_t draws = 0;               // 0: the exact target
  int64_t count = 0;
  int64_t positions = 0;
  int64_t latent = 0;
  double alpha = 1;
  float* energy = nullptr;    // [positions]
  float* target = nullptr;    // [positions]
  float* spread = nullptr;    // [positions]
  float* gradient = nullptr;  // [count, positions, latent]: of the sum of energies
};
int LaunchEnergyLoss(const CudaEnergyLoss& call, void* stream);

// argmax over v of rows[r] . table[v] (model/argmax.h). float32; 1 <= vocab < 2^32.
struct CudaArgmax {
  const float* rows = nullptr;   // [row_count, width]
  const float* table = nullptr;  // [vocab, width]
  int64_t row_count = 0;
  int64_t vocab = 0;
  int64_t width = 0;
  int64_t* result = nullptr;  // [row_count]
};
int LaunchArgmax(const CudaArgmax& call, void* stream);

// Numbers first ... first + width - 1 of each sample's Philox stream (base/philox_numbers.h).
struct CudaNoise {
  uint32_t key[2] = {};
  uint32_t step = 0;
  const uint64_t* samples = nullptr;  // [row_count], on the host; read before the call returns
  int64_t row_count = 0;
  int64_t width = 0;
  uint64_t first = 0;
  bool is_normal = false;
  float* out = nullptr;  // [row_count, width]
};
int LaunchNoise(const CudaNoise& call, void* stream);

// One AdamW update (model/kernels/adamw_element.h) of flat arrays.
struct CudaAdamW {
  float *value = nullptr, *exp_avg = nullptr, *exp_avg_sq = nullptr;
  const float* gradient = nullptr;
  const uint8_t* decays = nullptr;
  int64_t count = 0;
};
int LaunchAdamW(const CudaAdamW& arrays, const model::AdamWFactors& factors, void* stream);

// *sum = the sum of squares of values [count].
struct CudaSquares {
  const float* values = nullptr;
  int64_t count = 0;
  double* partial = nullptr;  // [SquaresBlocks(count)], scratch
  double* sum = nullptr;      // [1]
};
int64_t SquaresBlocks(int64_t count);
int LaunchSquares(const CudaSquares& call, void* stream);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_CUDA_KERNELS_H_
