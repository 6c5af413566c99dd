// The life of a job and of a stage. Pure: legal transitions only.
//
//   job:    queued -> running -> done | failed | preempted
//           preempted | failed -> running (the same command again)
//   stage:  waiting -> running -> done | failed
//           waiting -> reused
//           failed -> running
#ifndef HALCYON_JOBS_JOB_STATE_H_
#define HALCYON_JOBS_JOB_STATE_H_

#include <string_view>

#include "base/status.h"

namespace halcyon::jobs {

enum class JobState { kQueued, kRunning, kDone, kFailed, kPreempted };
enum class StageState { kWaiting, kRunning, kReused, kDone, kFailed };

std::string_view NameOf(JobState state);
std::string_view NameOf(StageState state);
absl::StatusOr<JobState> JobStateFromName(std::string_view name);
absl::StatusOr<StageState> StageStateFromName(std::string_view name);

bool CanMove(JobState from, JobState to);
bool CanMove(StageState from, StageState to);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_JOB_STATE_H_
