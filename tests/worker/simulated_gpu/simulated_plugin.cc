// Linked with a program, this puts the simulated GPU into the place of CUDA. The environment
// variable HALCYON_SIMULATED_GPUS says how many there are; 1 when it is not set.
#include <cstdlib>

#include "tests/worker/simulated_gpu/simulated_collectives.h"
#include "tests/worker/simulated_gpu/simulated_gpu.h"
#include "tests/worker/simulated_gpu/simulated_memory.h"
#include "worker/gpu.h"

namespace halcyon::worker {
namespace {

class SimulatedPlugin final : public GpuPlugin {
 public:
  explicit SimulatedPlugin(int devices) : devices_(devices) {}

  absl::StatusOr<int> Devices() const override {
    if (devices_ == 0) return Unavailable("no simulated GPU");
    static const bool is_registered = (RegisterSimulatedGpu(devices_), true);
    (void)is_registered;
    return devices_;
  }
  c10::DeviceType type() const override { return kSimulatedGpu; }
  std::vector<std::string> DeviceNames() const override {
    return std::vector<std::string>(devices_, "simulated GPU");
  }
  std::vector<std::string> DeviceIds() const override {
    std::vector<std::string> ids;
    for (int device = 0; device < devices_; ++device) ids.push_back(std::to_string(device));
    return ids;
  }
  uint64_t PeakMemoryBytes(int) const override { return SimulatedMemory::Get().PeakBytes(); }
  std::string Versions() const override { return "no versions"; }
  std::vector<std::string> Warnings() const override { return {}; }
  const model::DeviceKernels& kernels() const override { return SimulatedKernels(); }
  absl::StatusOr<std::unique_ptr<cluster::Collectives>> MakeCollectives(
      cluster::Collectives* host, const GpuCollectivesOptions&) const override {
    return MakeSimulatedCollectives(host);
  }

 private:
  int devices_;
};

const bool is_installed = [] {
  const char* devices = std::getenv("HALCYON_SIMULATED_GPUS");
  InstallGpuPlugin(new SimulatedPlugin(devices == nullptr ? 1 : std::atoi(devices)));
  return true;
}();

}  // namespace
}  // namespace halcyon::worker
