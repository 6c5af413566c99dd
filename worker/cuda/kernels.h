// Functions that the plugin's files share.
#ifndef HALCYON_WORKER_CUDA_KERNELS_H_
#define HALCYON_WORKER_CUDA_KERNELS_H_

#include "worker/cuda/cuda_kernels.h"

namespace halcyon::worker {

// A cudaError_t each: cudaErrorInvalidValue for sizes that the interface forbids.
int LaunchEnergyLoss(const CudaEnergyLoss& call, void* stream);
int LaunchArgmax(const CudaArgmax& call, void* stream);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_CUDA_KERNELS_H_
