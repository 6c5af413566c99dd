// Which artifacts and work folders jobs use, and which of them can go. Pure.
#ifndef HALCYON_COORDINATOR_HOUSEKEEPING_JOB_USE_H_
#define HALCYON_COORDINATOR_HOUSEKEEPING_JOB_USE_H_

#include <compare>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/job_status.h"
#include "coordinator/work/work_folders.h"
#include "jobs/stages.h"
#include "storage/artifact.h"
#include "storage/job_record.h"

namespace halcyon::coordinator {

// What names both a stage's artifact folder and its work folder.
struct StageKey {
  jobs::StageKind kind{};
  std::string short_fingerprint;  // 16 digits
  auto operator<=>(const StageKey&) const = default;
};
StageKey KeyOf(jobs::StageKind kind, const std::string& fingerprint);

// The stages of a job whose fingerprints are known, as its record or its status has them.
std::set<StageKey> UsedBy(const storage::JobRecord& job);
std::set<StageKey> UsedBy(const JobStatus& job);

struct HomeContents {
  std::map<std::string, std::set<StageKey>> jobs;  // by id: what each uses
  std::vector<storage::ArtifactRecord> artifacts;
  std::vector<WorkFolder> work;
};

struct JobParts {
  std::set<StageKey> removable;
  std::map<StageKey, std::string> needed;  // the others that were looked at: who needs it, in words
};

// An artifact or work folder is the job's when its record names it or when the job made it. Of
// those, one stays that another job's record names, or that something that stays was made from:
// removable is what only this job used, or what it made and no job uses.
JobParts PartsOf(const std::string& job_id, const HomeContents& contents);

// The artifacts and work folders that no job uses. Of these `may_go` chooses; one that something
// that stays was made from stays, too.
JobParts UnusedParts(const HomeContents& contents,
                     const std::function<bool(const StageKey&)>& may_go);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_HOUSEKEEPING_JOB_USE_H_
