// The life of a job and of a stage. Pure: legal transitions only.
//
//   job:    queued -> running -> done | partial | failed | preempted | interrupted | cancelled
//           queued -> cancelled
//           partial | preempted | failed | interrupted | cancelled -> running (the same command
//           again)
//   stage:  waiting -> running -> done | failed | interrupted
//           waiting -> reused
//           failed | interrupted -> running
//
// A job is partial when it was run until a stage that is not its last, and has made that. It is
// preempted when it was told to stop, cancelled when a person wanted it to end for good,
// and interrupted when its coordinator ended without
// recording how: then the record still says "running", and a reader that finds no process running
// it reports interrupted (coordinator/job_status.h). A stage is interrupted when it was begun and
// its job is not running.
#ifndef HALCYON_JOBS_JOB_STATE_H_
#define HALCYON_JOBS_JOB_STATE_H_

#include <string_view>

#include "base/status.h"

namespace halcyon::jobs {

enum class JobState {
  kQueued,
  kRunning,
  kDone,
  kPartial,
  kFailed,
  kPreempted,
  kInterrupted,
  kCancelled
};
enum class StageState { kWaiting, kRunning, kReused, kDone, kFailed, kInterrupted };

std::string_view NameOf(JobState state);
std::string_view NameOf(StageState state);
absl::StatusOr<JobState> JobStateFromName(std::string_view name);
absl::StatusOr<StageState> StageStateFromName(std::string_view name);

bool CanMove(JobState from, JobState to);
bool CanMove(StageState from, StageState to);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_JOB_STATE_H_
