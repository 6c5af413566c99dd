// In the place of LibTorch's header: see fake_device.h.
#ifndef HALCYON_TESTS_WORKER_CUDA_FAKES_C10_CUDA_CUDAGUARD_H_
#define HALCYON_TESTS_WORKER_CUDA_FAKES_C10_CUDA_CUDAGUARD_H_

#include "tests/worker/cuda/fakes/c10/cuda/CUDAStream.h"

namespace c10::cuda {

struct CUDAGuard {
  explicit CUDAGuard(DeviceIndex) {}
};
struct CUDAStreamGuard {
  explicit CUDAStreamGuard(const CUDAStream&) {}
};

}  // namespace c10::cuda

#endif  // HALCYON_TESTS_WORKER_CUDA_FAKES_C10_CUDA_CUDAGUARD_H_
