#include "worker/commands/devices_command.h"

#include "base/standard_output.h"
#include "worker/gpu.h"

namespace halcyon::worker {

absl::Status RunDevices() {
  ASSIGN_OR_RETURN(const GpuPlugin* const plugin, OpenGpuPlugin());
  std::string text;
  int device = 0;
  for (const std::string& name : plugin->DeviceNames()) {
    text += "cuda:" + std::to_string(device++) + "  " + name + "\n";
  }
  StandardOutput::OfProcess().Print(text + plugin->Versions() + "\n");
  return absl::OkStatus();
}

}  // namespace halcyon::worker
