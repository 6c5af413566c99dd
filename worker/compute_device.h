// Where a process computes: on the CPU or on one GPU.
#ifndef HALCYON_WORKER_COMPUTE_DEVICE_H_
#define HALCYON_WORKER_COMPUTE_DEVICE_H_

#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "cluster/collectives.h"
#include "jobs/job_spec.h"
#include "worker/gpu.h"

namespace halcyon::worker {

struct ComputeDevice {
  c10::Device device = c10::kCPU;
  // "cpu", or kind, memory and capability: "NVIDIA H100 80GB HBM3, 81559 MiB, sm_90".
  std::string name = "cpu";
  const GpuPlugin* plugin = nullptr;  // of a GPU
  std::string why_cpu;                // with kAuto, where it is the CPU
  bool is_gpu() const { return plugin != nullptr; }
  // For a log: its name, and with kAuto why it is the CPU.
  std::string Description() const { return why_cpu.empty() ? name : name + " (" + why_cpu + ")"; }

  // Of the thread that calls it: what is made or started without naming a device goes to this one.
  void MakeCurrent() const;
  // Waits for all that was started on the device.
  void Synchronise() const;
  // The most memory that this process took at a time; of a GPU, that its tensors took there.
  uint64_t PeakMemoryBytes() const;
};

// Opens the GPU plugin (worker/gpu.h) unless `choice` is the CPU; call it before LibTorch is asked
// for anything. kFailedPrecondition, which says what is missing: kCuda where there are too few
// GPUs; with kAuto the CPU takes their place.

// For a process of its own. The `index`-th of such processes on this machine takes GPU `index`
// modulo their number.
absl::StatusOr<ComputeDevice> ChooseDevice(jobs::DeviceChoice choice, uint32_t index = 0);

// For a command, by its option --device: "auto", "cpu" or "cuda". kInvalidArgument: another word.
absl::StatusOr<ComputeDevice> OpenDevice(const std::string& word);

// For a rank. Collective: all ranks compute on GPUs, one each, or none does, and with kCuda all
// return the same error.
absl::StatusOr<ComputeDevice> ChooseGangDevice(jobs::DeviceChoice choice,
                                               cluster::Collectives& collectives);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_COMPUTE_DEVICE_H_
