// Removes stages' artifacts and work folders, and says what was removed.
#ifndef HALCYON_COORDINATOR_HOUSEKEEPING_REMOVAL_H_
#define HALCYON_COORDINATOR_HOUSEKEEPING_REMOVAL_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/env.h"
#include "base/status.h"
#include "coordinator/housekeeping/disk_usage.h"
#include "coordinator/housekeeping/job_use.h"
#include "storage/home.h"

namespace halcyon::coordinator {

struct RemovedPath {
  std::string path;
  uint64_t bytes = 0;
  StageKey stage;           // of an artifact or a work folder
  std::string fingerprint;  // of an artifact: the whole one
};
struct KeptPath {
  std::string path;
  std::string needed_by;  // "job quick-1", "model 9c1185a5c5e9fc54"; or why it stays
};

struct RemovalPlan {
  std::string who;                   // of the claims: "removal of job quick-1"
  std::vector<RemovedPath> removed;  // in the order of removal: what is made from others first
  std::vector<KeptPath> kept;        // what was looked at and is needed
  uint64_t bytes_freed = 0;
};

// The names of the folders in HOME/jobs: ids of jobs, also of one whose files cannot be read.
absl::StatusOr<std::vector<std::string>> JobFolders(Env& env, const storage::HomeLayout& home);
// What every job uses, by its journal and by its status: either may be the newer. kDataLoss when a
// job's journal and status both cannot be read: then it is not known what it uses.
absl::StatusOr<std::map<std::string, std::set<StageKey>>> UseOfAllJobs(
    Env& env, const storage::HomeLayout& home);
// With all artifacts and work folders that can be read: it is not known whose the others are.
absl::StatusOr<HomeContents> ReadHomeContents(Env& env, const storage::HomeLayout& home);

// Adds what is on the disk of the parts' stages to the plan; the bytes to `usage`, too.
void PlanStages(Env& env, const storage::HomeLayout& home, const HomeContents& contents,
                const JobParts& parts, DiskUsage* usage, RemovalPlan* plan);

// May be cut short at any moment; planning and removing again then finishes it. What is half
// removed never passes for an artifact. A stage that a job is making by now stays, and moves to
// `kept`.
// `needed_by`: asked right before a stage is removed, who needs it by now; "": nobody.
using NeededBy = std::function<absl::StatusOr<std::string>(const StageKey&)>;
absl::Status Remove(
    Env& env, Clock& clock, const storage::HomeLayout& home, RemovalPlan* plan,
    const NeededBy& needed_by = [](const StageKey&) { return ""; });

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_HOUSEKEEPING_REMOVAL_H_
