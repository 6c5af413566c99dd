// An agent: a process that leases data tasks from the coordinator, one at a time.
#ifndef HALCYON_WORKER_AGENT_H_
#define HALCYON_WORKER_AGENT_H_

#include <cstdint>

#include "base/status.h"
#include "worker/membership.h"

namespace halcyon::worker {

// Works until the coordinator sends Stop. `threads` is what the eval task may use; data tasks run
// on one thread, so that their bits do not depend on the machine.
absl::Status RunAgent(const WorkerOptions& options, uint32_t threads);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_AGENT_H_
