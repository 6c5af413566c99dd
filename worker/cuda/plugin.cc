#include <cuda_runtime_api.h>

#include "worker/cuda/kernels.h"

namespace halcyon::worker {
namespace {

const char* ErrorText(int status) { return cudaGetErrorString(static_cast<cudaError_t>(status)); }
int DeviceCount(int* count) { return cudaGetDeviceCount(count); }
int Allocate(size_t bytes, void** memory) { return cudaMalloc(memory, bytes); }
int Free(void* memory) { return cudaFree(memory); }
int CopyToDevice(const void* from, size_t bytes, void* to) {
  return cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice);
}
int CopyToHost(const void* from, size_t bytes, void* to) {
  return cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost);
}
int Synchronise(void* stream) { return cudaStreamSynchronize(static_cast<cudaStream_t>(stream)); }

constexpr CudaKernels kKernels = {
    .abi_version = kCudaKernelsAbiVersion,
    .ErrorText = ErrorText,
    .DeviceCount = DeviceCount,
    .Allocate = Allocate,
    .Free = Free,
    .CopyToDevice = CopyToDevice,
    .CopyToHost = CopyToHost,
    .Synchronise = Synchronise,
    .EnergyLoss = LaunchEnergyLoss,
    .Argmax = LaunchArgmax,
};

}  // namespace
}  // namespace halcyon::worker

extern "C" __attribute__((visibility("default"))) const halcyon::worker::CudaKernels*
HalcyonCudaKernels() {
  return &halcyon::worker::kKernels;
}
