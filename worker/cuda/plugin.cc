#include <ATen/Context.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstdlib>
#include <functional>

#include "worker/cuda/cuda_kernels.h"
#include "worker/cuda/gpu_plugin.h"
#include "worker/cuda/nccl_collectives.h"
#include "worker/cuda/nccl_version.h"

namespace halcyon::worker {
namespace {

// Ampere: the first with bfloat16, and what the kernels are compiled for.
constexpr int kCapabilityMajorMin = 8;

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
    for (int device = 0; device < count; ++device) {
      int major = 0;
      cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
      if (major >= kCapabilityMajorMin) continue;
      return Unavailable("cuda:" + std::to_string(device) + " (" + DeviceNames()[device] +
                         ") is too old: this program needs sm_80 or later, which have bfloat16; "
                         "leave it out of CUDA_VISIBLE_DEVICES");
    }
    return count;
  }

  c10::DeviceType type() const override { return c10::kCUDA; }

  std::vector<std::string> DeviceNames() const override {
    return OfEach([](const cudaDeviceProp& properties) {
      return std::string(properties.name) + ", " + std::to_string(properties.totalGlobalMem >> 20) +
             " MiB, sm_" + std::to_string(properties.major) + std::to_string(properties.minor);
    });
  }

  std::vector<std::string> DeviceIds() const override {
    return OfEach([](const cudaDeviceProp& properties) {
      return std::string(properties.uuid.bytes, sizeof(properties.uuid.bytes));
    });
  }

  uint64_t PeakMemoryBytes(int device) const override {
    using c10::CachingAllocator::StatType;
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device);
    return stats.allocated_bytes[static_cast<size_t>(StatType::AGGREGATE)].peak;
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
  // In place of what `text` says of a device, CUDA's error.
  static std::vector<std::string> OfEach(
      const std::function<std::string(const cudaDeviceProp&)>& text) {
    int count = 0;
    cudaGetDeviceCount(&count);
    std::vector<std::string> texts;
    for (int device = 0; device < count; ++device) {
      cudaDeviceProp properties = {};
      const cudaError_t error = cudaGetDeviceProperties(&properties, device);
      texts.push_back(error != cudaSuccess ? cudaGetErrorString(error) : text(properties));
    }
    return texts;
  }

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
