// How the workers of a job are, as heartbeats and the coordinator's machine tell. Values.
#ifndef HALCYON_COORDINATOR_RUN_WORKER_HEALTH_H_
#define HALCYON_COORDINATOR_RUN_WORKER_HEALTH_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "cluster/messages.h"

namespace halcyon::coordinator {

// The last that is known of a worker.
struct WorkerBeat {
  WorkerId worker = {};
  cluster::Activity activity = {};  // of its last heartbeat
  int64_t silent_ms = 0;            // since anything came from it
  bool is_stopped = false;          // silent, and its process exists on this machine, stopped
};

enum class Verdict {
  kRunning,
  kWaiting,  // for others, in a collective
  kSlow,     // the others wait for it more than it for them, step after step
  kStuck,    // answers, but its work stands still for too long
  kSilent,   // nothing comes from it
  kStopped,  // nothing comes from it: its process is stopped
  kCutOff,   // nothing comes from any rank of its machine, but from others
};
std::string_view NameOf(Verdict verdict);  // "cut off"

struct WorkerHealth {
  std::string worker = {};  // "model-rank-1"
  int64_t rank = -1;        // -1: it is an agent
  std::string host = {};
  int64_t pid = 0;          // of its process on that host; 0: not known
  uint64_t start_time = 0;  // of it: clock ticks since boot
  int64_t step = -1;
  std::string phase = {};      // "forward block.3"
  std::string waits_for = {};  // "rank 1", "all-gather of block.3, number 917"; "" for nothing
  int64_t age_ms = 0;          // since its work went on, or since anything came from it
  Verdict verdict = Verdict::kRunning;
  bool operator==(const WorkerHealth&) const = default;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_RUN_WORKER_HEALTH_H_
