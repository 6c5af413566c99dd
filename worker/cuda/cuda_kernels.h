// What libhalcyon_cuda.so offers: Halcyon's own GPU kernels behind one table of functions. The
// plugin is built wherever nvcc is found, links nothing but the CUDA runtime (statically), and
// loads on a machine without a GPU; this header needs no CUDA. Open it with dlopen and call the
// function named kCudaKernelsSymbol.
//
// Every pointer in a call is device memory, every stream a cudaStream_t (nullptr: the default one).
// Calls are asynchronous but for Allocate, Free, the copies and Synchronise. Status 0 is success;
// ErrorText explains the others. Threads may call at once.
#ifndef HALCYON_WORKER_CUDA_CUDA_KERNELS_H_
#define HALCYON_WORKER_CUDA_CUDA_KERNELS_H_

#include <cstddef>
#include <cstdint>

namespace halcyon::worker {

inline constexpr uint32_t kCudaKernelsAbiVersion = 1;
inline constexpr char kCudaKernelsSymbol[] = "HalcyonCudaKernels";

// The exact energy loss (model/energy/energy_loss.h) of every position. float32; count >= 2,
// 0 < alpha <= 2.
struct CudaEnergyLoss {
  const float* samples = nullptr;  // [count, positions, latent]
  const float* mean = nullptr;     // [positions, latent]
  const float* std = nullptr;      // [positions, latent]
  int64_t count = 0;
  int64_t positions = 0;
  int64_t latent = 0;
  double alpha = 1;
  float* energy = nullptr;    // [positions]
  float* target = nullptr;    // [positions]
  float* spread = nullptr;    // [positions]
  float* gradient = nullptr;  // [count, positions, latent]: of the sum of energies
};

// argmax over v of rows[r] . table[v] (model/argmax.h). float32; 1 <= vocab < 2^32.
struct CudaArgmax {
  const float* rows = nullptr;   // [row_count, width]
  const float* table = nullptr;  // [vocab, width]
  int64_t row_count = 0;
  int64_t vocab = 0;
  int64_t width = 0;
  int64_t* result = nullptr;  // [row_count]
};

struct CudaKernels {
  uint32_t abi_version;
  const char* (*ErrorText)(int status);
  int (*DeviceCount)(int* count);
  int (*Allocate)(size_t bytes, void** memory);
  int (*Free)(void* memory);
  int (*CopyToDevice)(const void* from, size_t bytes, void* to);
  int (*CopyToHost)(const void* from, size_t bytes, void* to);
  int (*Synchronise)(void* stream);
  int (*EnergyLoss)(const CudaEnergyLoss& call, void* stream);
  int (*Argmax)(const CudaArgmax& call, void* stream);
};

// The type of the function named kCudaKernelsSymbol; the table lives as long as the library.
using CudaKernelsFunction = const CudaKernels*();

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_CUDA_CUDA_KERNELS_H_
