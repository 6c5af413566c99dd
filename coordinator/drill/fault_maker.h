// Makes one fault in a job that runs, at its moment.
#ifndef HALCYON_COORDINATOR_DRILL_FAULT_MAKER_H_
#define HALCYON_COORDINATOR_DRILL_FAULT_MAKER_H_

#include <optional>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "coordinator/drill/drill_runs.h"
#include "coordinator/drill/report.h"

namespace halcyon::coordinator {

// What to do about a job that is done before its fault.
inline constexpr char kDoMore[] = "have the job do more (--set train.steps=N)";

struct FaultPlan {
  Fault fault{};
  int64_t ranks = 0;
  uint64_t step = 0;        // of the model stage at which the fault is made
  std::string marker = {};  // of a fault that a rank makes itself: a file that it makes first
};

// What was seen when the fault was made.
struct MadeFault {
  std::string what;                     // "SIGKILL to model-rank-1 (pid 5 on n2)"
  std::optional<FaultMoment> moment;    // of training
  std::string agent = {};               // that was killed
  std::vector<JobProcess> processes;    // of the job then, those that are known
  std::optional<uint64_t> launch = {};  // of the model's gang then
};

// One look: nullopt while the moment has not come, or the process to be hit is not known yet.
// kFailedPrecondition: it has passed, because the stage has ended.
absl::StatusOr<std::optional<MadeFault>> TryToMake(Env& env, const storage::HomeLayout& home,
                                                   const std::string& job_id, const FaultPlan& plan,
                                                   DrillRuns& runs);

// What the gang of the model was launched as, by the job's journal; nullopt: not known.
std::optional<uint64_t> LaunchOf(Env& env, const storage::HomeLayout& home,
                                 const std::string& job_id);

// For the environment of a job in which a rank makes the fault itself.
std::map<std::string, std::string> EnvironmentOf(const FaultPlan& plan);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_DRILL_FAULT_MAKER_H_
