// The table of kernels for CUDA devices: model/kernels/device_kernels.h on the current stream.
#ifndef HALCYON_WORKER_CUDA_CUDA_KERNELS_H_
#define HALCYON_WORKER_CUDA_CUDA_KERNELS_H_

#include "model/kernels/device_kernels.h"

namespace halcyon::worker {

// Faults of CUDA are c10::Error, as LibTorch's own operations have them.
const model::DeviceKernels& CudaKernels();

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_CUDA_CUDA_KERNELS_H_
