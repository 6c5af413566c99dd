// In the place of CUDA's header: see fake_device.h.
#ifndef HALCYON_TESTS_WORKER_CUDA_FAKES_CUDA_RUNTIME_API_H_
#define HALCYON_TESTS_WORKER_CUDA_FAKES_CUDA_RUNTIME_API_H_

#include "tests/worker/cuda/fakes/fake_device.h"

enum cudaError_t { cudaSuccess = 0, cudaErrorNotReady = 600 };
using cudaEvent_t = CUevent_st*;
using cudaStream_t = CUstream_st*;
inline constexpr unsigned cudaEventDisableTiming = 2;

inline const char* cudaGetErrorString(cudaError_t) { return "a fake error"; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = new CUevent_st;
  return cudaSuccess;
}
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return cudaEventCreate(event);
}
inline cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(halcyon::fake::TheDevice().mutex);
  const uint64_t record = ++event->recorded;
  stream->work.push_back([=] { return event->reached = record, true; });
  return cudaSuccess;
}
inline cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const std::lock_guard lock(halcyon::fake::TheDevice().mutex);
  const uint64_t record = event->recorded;
  stream->work.push_back([=] { return event->reached >= record; });
  return cudaSuccess;
}
inline cudaError_t cudaEventQuery(cudaEvent_t event) {
  halcyon::fake::Device& device = halcyon::fake::TheDevice();
  const std::lock_guard lock(device.mutex);
  device.Run();
  return event->reached == event->recorded ? cudaSuccess : cudaErrorNotReady;
}
inline cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) {
  *milliseconds = 2;
  return cudaSuccess;
}

#endif  // HALCYON_TESTS_WORKER_CUDA_FAKES_CUDA_RUNTIME_API_H_
