// The arithmetic of this process, pinned so that the same job gives the same bits.
#ifndef HALCYON_WORKER_RUNTIME_H_
#define HALCYON_WORKER_RUNTIME_H_

#include <cstdint>
#include <map>
#include <string>

namespace halcyon::worker {

// Sets LibTorch's threads and the allocator's thresholds. Call once, before any tensor is made.
void ConfigureRuntime(uint32_t threads);

// What bits depend on besides the job: `device` (ComputeDevice::name), threads, arithmetic (as the
// launcher set it, "" outside a job), vector instructions, type of processor, library versions. A
// checkpoint records it, and resuming under another one is reported.
std::map<std::string, std::string> RuntimeDescription(const std::string& device);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_RUNTIME_H_
