// The work folders of a home: what each was begun for, and how far it is.
#ifndef HALCYON_COORDINATOR_WORK_WORK_FOLDERS_H_
#define HALCYON_COORDINATOR_WORK_WORK_FOLDERS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "coordinator/work/work_record.h"
#include "jobs/stage_identity.h"
#include "jobs/stages.h"
#include "storage/home.h"

namespace halcyon::coordinator {

// In the work folder and the artifact of a training stage (docs/metrics.md).
inline constexpr char kMetricsFileName[] = "metrics.jsonl";

struct WorkFolder {
  std::string path;
  jobs::StageKind kind{};
  std::string short_fingerprint;            // 16 digits, of the folder's name
  std::optional<jobs::StageIdentity> made;  // what is made there; nullopt: not recorded
  std::string job_id;                       // that began it; "" when not recorded
  std::string problem;                      // why `made` is missing
  std::vector<uint64_t> steps;              // of committed checkpoints, ascending; none of tasks
  bool has_shards = false;                  // an unfinished cache; of stages of shards only
  bool finished = false;                    // its artifact is there
};

// Every folder work/KIND-FP16, by name; others are left out. Of a folder without stage.json, an
// artifact of the same fingerprint says what was made.
absl::StatusOr<std::vector<WorkFolder>> ScanWork(Env& env, const storage::HomeLayout& home);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_WORK_WORK_FOLDERS_H_
