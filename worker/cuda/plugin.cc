#include <ATen/Context.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstdlib>

#include "worker/cuda/cuda_kernels.h"
#include "worker/cuda/gpu_plugin.h"
#include "worker/cuda/nccl_collectives.h"
#include "worker/cuda/nccl_version.h"

namespace halcyon::worker {
namespace {

// "13.0" of CUDA's 13000.
std::string CudaVersionText(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version / 10 % 100);
}

absl::Status NoDevice(cudaError_t error) {
  int driver = 0;
  cudaDriverGetVersion(&driver);
  if (driver == 0) {
    return Unavailable("no NVIDIA driver is installed on this machine (libcuda.so.1 is missing)");
  }
  if (error == cudaErrorInsufficientDriver) {
    return Unavailable("the NVIDIA driver is too old: it supports CUDA " + CudaVersionText(driver) +
                       ", and this program needs " + CudaVersionText(CUDART_VERSION));
  }
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  const std::string hint =
      visible == nullptr ? "" : " (CUDA_VISIBLE_DEVICES is \"" + std::string(visible) + "\")";
  if (error == cudaSuccess || error == cudaErrorNoDevice) {
    return Unavailable("no CUDA device" + hint);
  }
  return Unavailable("CUDA: " + std::string(cudaGetErrorString(error)) + hint);
}

class Plugin final : public GpuPlugin {
 public:
  absl::StatusOr<int> Devices() const override {
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    cudaGetLastError();  // CUDA would report it once more to the next one who asks
    if (error != cudaSuccess || count == 0) return NoDevice(error);
    if (!at::globalContext().hasCUDA()) {
      return FailedPrecondition(
          "LibTorch takes CUDA for absent: it was asked about it before the GPU plugin was opened");
    }
    return count;
  }

  std::vector<std::string> DeviceNames() const override {
    int count = 0;
    cudaGetDeviceCount(&count);
    std::vector<std::string> names;
    for (int device = 0; device < count; ++device) {
      cudaDeviceProp properties = {};
      const cudaError_t error = cudaGetDeviceProperties(&properties, device);
      names.push_back(error != cudaSuccess ? cudaGetErrorString(error)
                                           : std::string(properties.name) + ", " +
                                                 std::to_string(properties.totalGlobalMem >> 20) +
                                                 " MiB, sm_" + std::to_string(properties.major) +
                                                 std::to_string(properties.minor));
    }
    return names;
  }

  std::string Versions() const override {
    int driver = 0, runtime = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    return "driver for CUDA " + CudaVersionText(driver) + ", CUDA runtime " +
           CudaVersionText(runtime) + ", NCCL " + NcclVersionText(NcclVersion());
  }

  std::vector<std::string> Warnings() const override {
    const std::string warning = NcclVersionWarning(NcclVersion());
    return warning.empty() ? std::vector<std::string>() : std::vector<std::string>{warning};
  }

  const model::DeviceKernels& kernels() const override { return CudaKernels(); }

  absl::StatusOr<std::unique_ptr<cluster::Collectives>> MakeCollectives(
      cluster::Collectives* host, const GpuCollectivesOptions& options) const override {
    return MakeNcclCollectives(host, options);
  }

 private:
  static int NcclVersion() {
    int version = 0;
    ncclGetVersion(&version);
    return version;
  }
};

}  // namespace
}  // namespace halcyon::worker

#define HALCYON_EXPORT extern "C" __attribute__((visibility("default")))

HALCYON_EXPORT const char* HalcyonGpuPluginBuild() { return halcyon::worker::kGpuPluginBuild; }

HALCYON_EXPORT const halcyon::worker::GpuPlugin* HalcyonGpuPlugin() {
  // Never destroyed: the libraries below it may be gone when destructors of statics run.
  static const auto* plugin = new halcyon::worker::Plugin;
  return plugin;
}
