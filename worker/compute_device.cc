#include "worker/compute_device.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <climits>

#include "base/memory.h"
#include "worker/gpu_assignment.h"

namespace halcyon::worker {
namespace {

absl::StatusOr<const GpuPlugin*> OpenPlugin(jobs::DeviceChoice choice) {
  if (choice == jobs::DeviceChoice::kCpu) return nullptr;
  // Loading the plugin for nothing would take seconds and gigabytes of addresses.
  if (choice == jobs::DeviceChoice::kAuto && !MayHaveGpu()) {
    return Unavailable("no NVIDIA driver is installed");
  }
  return OpenGpuPlugin();
}

ComputeDevice Gpu(const GpuPlugin* plugin, int index) {
  ComputeDevice chosen;
  chosen.device = c10::Device(plugin->type(), static_cast<c10::DeviceIndex>(index));
  chosen.name = plugin->DeviceNames()[index];
  chosen.plugin = plugin;
  chosen.MakeCurrent();
  return chosen;
}

// `gpus`: why there is none.
absl::StatusOr<ComputeDevice> WithoutGpu(jobs::DeviceChoice choice, const absl::Status& gpus) {
  if (choice == jobs::DeviceChoice::kCuda) {
    // Not kUnavailable: another try finds as few.
    return FailedPrecondition("device \"cuda\": " + MessageOf(gpus));
  }
  ComputeDevice cpu;
  if (choice == jobs::DeviceChoice::kAuto) cpu.why_cpu = MessageOf(gpus);
  return cpu;
}

std::string HostName() {
  char name[HOST_NAME_MAX + 1] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

}  // namespace

void ComputeDevice::MakeCurrent() const {
  if (is_gpu()) c10::impl::VirtualGuardImpl(device.type()).setDevice(device);
}

void ComputeDevice::Synchronise() const {
  if (is_gpu()) c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

uint64_t ComputeDevice::PeakMemoryBytes() const {
  return is_gpu() ? plugin->PeakMemoryBytes(device.index()) : halcyon::PeakMemoryBytes();
}

absl::StatusOr<ComputeDevice> ChooseDevice(jobs::DeviceChoice choice, uint32_t index) {
  const absl::StatusOr<const GpuPlugin*> plugin = OpenPlugin(choice);
  if (!plugin.ok()) return WithoutGpu(choice, plugin.status());
  if (*plugin == nullptr) return ComputeDevice{};
  ASSIGN_OR_RETURN(const int count, (*plugin)->Devices());
  return Gpu(*plugin, static_cast<int>(index % static_cast<uint32_t>(count)));
}

absl::StatusOr<ComputeDevice> OpenDevice(const std::string& word) {
  if (word == "auto") return ChooseDevice(jobs::DeviceChoice::kAuto);
  if (word == "cpu") return ChooseDevice(jobs::DeviceChoice::kCpu);
  if (word == "cuda") return ChooseDevice(jobs::DeviceChoice::kCuda);
  return InvalidArgument("--device " + word + ": choose auto, cpu or cuda");
}

absl::StatusOr<ComputeDevice> ChooseGangDevice(jobs::DeviceChoice choice,
                                               cluster::Collectives& collectives) {
  if (choice == jobs::DeviceChoice::kCpu) return ComputeDevice{};
  RankGpus own{HostName(), {}, ""};
  const absl::StatusOr<const GpuPlugin*> plugin = OpenPlugin(choice);
  if (plugin.ok()) own.ids = (*plugin)->DeviceIds();
  if (!plugin.ok()) own.missing = MessageOf(plugin.status());
  ASSIGN_OR_RETURN(const auto gathered, collectives.AllGatherBytes(own.Serialise()));
  std::vector<RankGpus> ranks;
  for (const std::string& bytes : gathered) {
    ASSIGN_OR_RETURN(ranks.emplace_back(), RankGpus::Parse(bytes));
  }
  const absl::StatusOr<std::vector<int>> assigned = AssignGpus(ranks);
  if (!assigned.ok()) return WithoutGpu(choice, assigned.status());
  return Gpu(*plugin, (*assigned)[collectives.rank()]);
}

}  // namespace halcyon::worker
