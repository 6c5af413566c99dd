// The number of a task's lease: it says under which claim of the stage the lease was granted.
#ifndef HALCYON_COORDINATOR_RUN_TASK_FENCE_H_
#define HALCYON_COORDINATOR_RUN_TASK_FENCE_H_

#include <cstdint>

#include "base/ids.h"

namespace halcyon::coordinator {

inline constexpr int kLeaseBits = 32;

// Rises with each lease, and with each claim of the stage, whichever job has it.
inline Fence TaskFence(uint64_t claim, uint64_t lease) {
  return Fence((claim << kLeaseBits) | lease);
}
inline uint64_t ClaimOf(Fence fence) { return fence.value() >> kLeaseBits; }

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_RUN_TASK_FENCE_H_
