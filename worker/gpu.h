// The way to GPUs: opens the plugin libhalcyon_cuda.so (worker/cuda/) and hands on what it offers.
// A process that does not call OpenGpuPlugin needs neither the plugin nor CUDA nor NCCL.
#ifndef HALCYON_WORKER_GPU_H_
#define HALCYON_WORKER_GPU_H_

#include <string>

#include "base/status.h"
#include "worker/cuda/gpu_plugin.h"

namespace halcyon::worker {

// Beside the program that runs.
std::string DefaultGpuPluginPath();

// Loads the plugin, with LibTorch's CUDA part, and registers its kernels. Call it first thing in
// main(): LibTorch settles once, when something first asks about CUDA, whether there is any. The
// plugin stays open; calling this again gives the same one. Logs the plugin's warnings.
//   kNotFound            there is no such file
//   kFailedPrecondition  it cannot be loaded (a library of it is missing; the message names it), is
//                        of another build, or LibTorch was asked too early
//   kUnavailable         no driver, or no device
absl::StatusOr<const GpuPlugin*> OpenGpuPlugin(const std::string& path = DefaultGpuPluginPath());

// Whether opening the plugin may succeed: false where no NVIDIA driver is installed. Quick.
bool MayHaveGpu();

// For tests: `plugin` takes the place of what OpenGpuPlugin would load. Call it before main().
void InstallGpuPlugin(const GpuPlugin* plugin);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_GPU_H_
