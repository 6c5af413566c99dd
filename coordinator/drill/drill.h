// `halcyon drill`: faults made on purpose in a small job, on the machines that real jobs are to run
// on. An undisturbed job says what the weights must be; then there is one job for each fault, which
// is made when the model is about half trained.
#ifndef HALCYON_COORDINATOR_DRILL_DRILL_H_
#define HALCYON_COORDINATOR_DRILL_DRILL_H_

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/env.h"
#include "base/status.h"
#include "coordinator/drill/fault.h"
#include "coordinator/drill/report.h"

namespace halcyon::coordinator {

struct DrillOptions {
  std::string home;              // a state folder; the drill's folder is made below it
  bool by_slurm = false;         // else by this process
  std::string faults;            // names with commas between; "": all that can be made there
  std::vector<std::string> set;  // words of --set, for the drill's jobs
  bool keep = false;             // leave the drill's folder
  int64_t seconds_max = 1800;    // from a fault to its job's end; 0: without limit
};

struct DrillResult {
  std::string folder;  // "": it was removed
  std::vector<FaultOutcome> outcomes;
};

// `tell` gets lines for a person; `has_to_stop` is asked often, and ends the drill (kAborted) and
// its job. A fault that is not survived is an outcome, not an error, and its folder stays; an error
// is returned when an option is bad or the undisturbed job does not come to its end.
absl::StatusOr<DrillResult> RunDrill(Env& env, Clock& clock, const DrillOptions& options,
                                     const std::function<void(const std::string&)>& tell,
                                     const std::function<bool()>& has_to_stop);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_DRILL_DRILL_H_
