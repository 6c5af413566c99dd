// What a process tells the script or the coordinator that started it. docs/failure_model.md
// lists them for users.
#ifndef HALCYON_BASE_EXIT_CODE_H_
#define HALCYON_BASE_EXIT_CODE_H_

#include "absl/status/status.h"

namespace halcyon {

enum class ExitCode : int {
  kDone = 0,
  kNotSurvived = 1,  // halcyon drill: a job did not come back from a fault as it should
  kBadInput = 2,     // the job file, an option or the data: nothing was started
  kJobFailed = 3,    // the job ran and failed; the last error line says why
  kPreempted = 4,    // told to stop, or lost its coordinator: run the same command again
  kDiskFull = 5,     // free some space and run the same command again
  kCancelled = 6,    // a person had it end (halcyon cancel): nothing goes on by itself
};

inline ExitCode ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kDone;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
      return ExitCode::kBadInput;
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kUnavailable:
      return ExitCode::kPreempted;
    case absl::StatusCode::kCancelled:
      return ExitCode::kCancelled;
    case absl::StatusCode::kResourceExhausted:
      return ExitCode::kDiskFull;
    default:
      return ExitCode::kJobFailed;
  }
}

}  // namespace halcyon

#endif  // HALCYON_BASE_EXIT_CODE_H_
