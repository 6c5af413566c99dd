// Why a job stands where it stands, for a person who wants to act on it. Pure.
#ifndef HALCYON_COORDINATOR_DISPLAY_WHY_H_
#define HALCYON_COORDINATOR_DISPLAY_WHY_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/job_status.h"
#include "coordinator/submit/slurm.h"

namespace halcyon::coordinator {

// A status file of a job that runs is never older, unless its coordinator does not run or its disk
// does not write.
inline constexpr int64_t kStatusAgeMsMax = 15'000;
// Work that has not gone on for so long is worth naming, though it need not hang.
inline constexpr int64_t kLongMs = 30'000;

struct Why {
  // The job's state (jobs/job_state.h), but of a job that runs "waiting" (for another job's stage),
  // "starting" (no process works on its stage yet, or after a failure), "stuck" (nothing goes on),
  // "slow" or "unknown" (its coordinator does not say) where that is so.
  std::string state;
  int64_t since_ms = 0;             // wall time
  std::string cause;                // one or two sentences
  std::string advice;               // what to do; "": nothing
  std::vector<WorkerStatus> ranks;  // those of the cause first
};

// What is known of a job besides its status.
struct JobPlace {
  bool has_orphans = false;  // processes of it go on without a coordinator
  // "is Slurm job 12: PENDING (Priority)", of a job that a queue or Slurm will start; else "".
  std::string waits = "";
  std::optional<SlurmJob> slurm = std::nullopt;  // the same of a job that Slurm will start
  std::string other_host =
      "";  // where its coordinator runs; "": on this machine, or it is not known
};

// `status`: with its present state (FindJob in cli/commands.h). `now_ms`: wall time.
Why ExplainJob(const JobStatus& status, int64_t now_ms, const JobPlace& place = {});

// {"job", "state", "since", "cause", "advice", "ranks": [{"worker", "rank", "host", "step",
// "phase", "waits_for", "since", "verdict"}]}; times as "2026-01-31T12:00:00Z".
nlohmann::json ToJson(const Why& why, const std::string& job);
// The same for people.
std::string WhyText(const Why& why, const std::string& job, int64_t now_ms);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_DISPLAY_WHY_H_
