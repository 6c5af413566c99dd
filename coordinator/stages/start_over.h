// `halcyon run --from-scratch`: an unfinished stage begins anew.
#ifndef HALCYON_COORDINATOR_STAGES_START_OVER_H_
#define HALCYON_COORDINATOR_STAGES_START_OVER_H_

#include <string>

#include "base/env.h"
#include "base/status.h"
#include "coordinator/notes.h"

namespace halcyon::coordinator {

// Renames what the work folder holds of a gang's progress (cluster::kCheckpointsFolder) or that of
// tasks (cluster::kBuildingFolder) to FOLDER.set-aside-N, and says so.
// REQUIRES: no process of an earlier run writes there any more.
absl::Status StartOver(Env& env, const std::string& work_dir, Notes* notes);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_STAGES_START_OVER_H_
