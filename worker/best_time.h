// How long a piece of work takes when nothing disturbs it.
#ifndef HALCYON_WORKER_BEST_TIME_H_
#define HALCYON_WORKER_BEST_TIME_H_

#include <algorithm>
#include <cstdint>
#include <limits>

#include "absl/functional/function_ref.h"
#include "base/clock.h"

namespace halcyon::worker {

// Microseconds, at least 1: the least of as many runs as fit into `budget_us`, one at least. The
// caller has run the work before where its first time is another one, and waits for a GPU in it.
inline int64_t BestTimeUs(int64_t budget_us, absl::FunctionRef<void()> work) {
  int64_t best_us = std::numeric_limits<int64_t>::max();
  for (int64_t spent_us = 0; spent_us < budget_us;) {
    const int64_t began_us = Clock::Real()->MonotonicUs();
    work();
    const int64_t took_us = std::max<int64_t>(1, Clock::Real()->MonotonicUs() - began_us);
    best_us = std::min(best_us, took_us);
    spent_us += took_us;
  }
  return best_us;
}

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_BEST_TIME_H_
