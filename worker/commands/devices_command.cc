#include "worker/commands/devices_command.h"

#include "base/standard_output.h"
#include "worker/gpu.h"

namespace halcyon::worker {

absl::Status RunDevices(int64_t ranks) {
  ASSIGN_OR_RETURN(const GpuPlugin* const plugin, OpenGpuPlugin());
  ASSIGN_OR_RETURN(const int count, plugin->Devices());
  if (count < ranks) {
    return FailedPrecondition("this machine has " + std::to_string(count) + " GPU" +
                              (count == 1 ? "" : "s") + " for " + std::to_string(ranks) +
                              " ranks, which take one each");
  }
  std::string text;
  int device = 0;
  for (const std::string& name : plugin->DeviceNames()) {
    text += "cuda:" + std::to_string(device++) + "  " + name + "\n";
  }
  StandardOutput::OfProcess().Print(text + plugin->Versions() + "\n");
  return absl::OkStatus();
}

}  // namespace halcyon::worker
