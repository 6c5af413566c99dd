// What libhalcyon_cuda.so, the GPU plugin, gives to the program that opened it (worker/gpu.h). It
// links LibTorch's CUDA part and NCCL; this header needs neither. Program and plugin share
// LibTorch's and absl's types, so both must come from one build: they compare kGpuPluginBuild.
#ifndef HALCYON_WORKER_CUDA_GPU_PLUGIN_H_
#define HALCYON_WORKER_CUDA_GPU_PLUGIN_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <c10/core/Device.h>

#include "base/status.h"
#include "cluster/arrivals.h"
#include "cluster/collectives.h"
#include "model/kernels/device_kernels.h"

namespace halcyon::worker {

// Raise the number with every change of what program and plugin share.
inline constexpr char kGpuPluginBuild[] = "halcyon gpu plugin 4, LibTorch 2.11.0";

struct GpuCollectivesOptions {
  int device = 0;
  // A collective that has been the oldest one for so long, or a fault that NCCL reports, ends the
  // gang's work: no rank is waited for any longer.
  int64_t timeout_ms = 600'000;
  // Of the numbers of these collectives; the host's have others. Null: the error of one that does
  // not end names no rank.
  std::shared_ptr<cluster::Arrivals> arrivals = nullptr;
};

class GpuPlugin {
 public:
  virtual ~GpuPlugin() = default;

  // How many GPUs this process may use: 1 or more. kUnavailable: no driver, one that is too old, or
  // no device. kFailedPrecondition: LibTorch was asked about CUDA before the plugin was opened, and
  // has taken it for absent since.
  virtual absl::StatusOr<int> Devices() const = 0;
  // LibTorch's name for the kind of device.
  virtual c10::DeviceType type() const = 0;
  // One line for each device: name, memory, compute capability. REQUIRES: Devices() succeeded.
  virtual std::vector<std::string> DeviceNames() const = 0;
  // What tells each device from all others of this machine, in any process. REQUIRES: as above.
  virtual std::vector<std::string> DeviceIds() const = 0;
  // The most memory that tensors of this process took on a device at a time.
  virtual uint64_t PeakMemoryBytes(int device) const = 0;
  // Versions of driver, CUDA runtime and NCCL.
  virtual std::string Versions() const = 0;
  // What is known to go wrong with these versions, one sentence each.
  virtual std::vector<std::string> Warnings() const = 0;

  // For model::RegisterKernels. Lives as long as the process.
  virtual const model::DeviceKernels& kernels() const = 0;

  // Collectives on CUDA buffers over NCCL, and on the host over `host`, which outlives the result
  // and is the way by which the ranks find each other. Every rank calls it.
  virtual absl::StatusOr<std::unique_ptr<cluster::Collectives>> MakeCollectives(
      cluster::Collectives* host, const GpuCollectivesOptions& options) const = 0;
};

// The two functions that the plugin exports.
inline constexpr char kGpuPluginBuildSymbol[] = "HalcyonGpuPluginBuild";
inline constexpr char kGpuPluginSymbol[] = "HalcyonGpuPlugin";
using GpuPluginBuildFunction = const char*();
using GpuPluginFunction = const GpuPlugin*();

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_CUDA_GPU_PLUGIN_H_
