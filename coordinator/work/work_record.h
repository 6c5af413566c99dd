// stage.json of a work folder (work/KIND-FP16/): what is being made there. It lets a later run say
// what unfinished work of other settings is kept, and go on from it where that is right.
//
// Written atomically before anything else is made in the folder, and checked when read: the fields
// must give the fingerprint. docs/commands.md lists the members.
#ifndef HALCYON_COORDINATOR_WORK_WORK_RECORD_H_
#define HALCYON_COORDINATOR_WORK_WORK_RECORD_H_

#include <cstdint>
#include <string>

#include "base/env.h"
#include "base/status.h"
#include "jobs/stage_identity.h"

namespace halcyon::coordinator {

inline constexpr char kWorkRecordFile[] = "stage.json";

struct WorkRecord {
  jobs::StageIdentity identity;
  std::string job_id;  // that began it
  int64_t created_ms = 0;
  // The work folder (its name) and the step that it went on from; "" when it began at step 0.
  std::string continued_from;
  uint64_t continued_step = 0;
};

absl::Status WriteWorkRecord(Env& env, const std::string& work_dir, const WorkRecord& record);
// kNotFound: none there; kDataLoss: not readable as one.
absl::StatusOr<WorkRecord> ReadWorkRecord(Env& env, const std::string& work_dir);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_WORK_WORK_RECORD_H_
