// halcyon-worker devices: the GPUs that this process may use, or why there are none.
#ifndef HALCYON_WORKER_COMMANDS_DEVICES_COMMAND_H_
#define HALCYON_WORKER_COMMANDS_DEVICES_COMMAND_H_

#include <cstdint>

#include "base/status.h"

namespace halcyon::worker {

// Opens the GPU plugin: nothing may have asked LibTorch about CUDA before. Errors as OpenGpuPlugin,
// and kFailedPrecondition when there are fewer than `ranks`.
absl::Status RunDevices(int64_t ranks);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_COMMANDS_DEVICES_COMMAND_H_
