// In the place of LibTorch's header: see fake_device.h.
#ifndef HALCYON_TESTS_WORKER_CUDA_FAKES_C10_CUDA_CUDASTREAM_H_
#define HALCYON_TESTS_WORKER_CUDA_FAKES_C10_CUDA_CUDASTREAM_H_

#include <c10/core/Device.h>

#include "tests/worker/cuda/fakes/cuda_runtime_api.h"

namespace c10::cuda {

class CUDAStream {
 public:
  explicit CUDAStream(cudaStream_t stream) : stream_(stream) {}
  cudaStream_t stream() const { return stream_; }
  DeviceIndex device_index() const { return 0; }

 private:
  cudaStream_t stream_;
};

inline CUDAStream getCurrentCUDAStream(DeviceIndex = 0) {
  return CUDAStream(&halcyon::fake::TheDevice().compute);
}
inline CUDAStream getStreamFromPool(bool, DeviceIndex) {
  return CUDAStream(&halcyon::fake::TheDevice().communication);
}

}  // namespace c10::cuda

#endif  // HALCYON_TESTS_WORKER_CUDA_FAKES_C10_CUDA_CUDASTREAM_H_
