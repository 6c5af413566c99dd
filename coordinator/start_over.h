// `halcyon run --from-scratch`: an unfinished stage begins anew.
#ifndef HALCYON_COORDINATOR_START_OVER_H_
#define HALCYON_COORDINATOR_START_OVER_H_

#include <string>

#include "base/env.h"
#include "base/status.h"
#include "coordinator/notes.h"

namespace halcyon::coordinator {

// What a gang's progress lies in; that of tasks is in cluster::kBuildingFolder.
inline constexpr char kCheckpointsFolder[] = "checkpoints";

// Renames what the work folder holds of them to FOLDER.set-aside-N, and says so.
// REQUIRES: no process of an earlier run writes there any more.
absl::Status StartOver(Env& env, const std::string& work_dir, Notes* notes);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_START_OVER_H_
