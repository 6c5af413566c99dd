// halcyon-worker devices: the GPUs that this process may use, or why there are none.
#ifndef HALCYON_WORKER_COMMANDS_DEVICES_COMMAND_H_
#define HALCYON_WORKER_COMMANDS_DEVICES_COMMAND_H_

#include "base/status.h"

namespace halcyon::worker {

// Opens the GPU plugin: nothing may have asked LibTorch about CUDA before. Errors as OpenGpuPlugin.
absl::Status RunDevices();

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_COMMANDS_DEVICES_COMMAND_H_
