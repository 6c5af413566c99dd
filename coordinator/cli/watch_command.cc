#include <CLI/CLI.hpp>

#include "base/clock.h"
#include "base/exit_code.h"
#include "coordinator/cli/commands.h"
#include "coordinator/progress_view.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kPollMs = 300;

// The status whose exit code is the job's.
absl::Status EndOf(const JobStatus& job) {
  const std::string what = "job " + job.job_id + " is " + std::string(jobs::NameOf(job.state)) +
                           (job.error.empty() ? "" : ": " + job.error);
  if (job.state == jobs::JobState::kDone) return absl::OkStatus();
  if (job.state != jobs::JobState::kFailed) return Aborted(what);
  switch (static_cast<ExitCode>(job.exit_code)) {
    case ExitCode::kBadInput:
      return InvalidArgument(what);
    case ExitCode::kDiskFull:
      return ResourceExhausted(what);
    default:
      return Internal(what);
  }
}

absl::Status Watch(const std::string& job_id, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  ASSIGN_OR_RETURN(JobStatus job, FindJob(home, job_id, /*done_only=*/false));
  ProgressView view(Clock::Real(), stdout, [] { return SizeOfTerminal(stdout); });
  view.Changed(job);
  while (job.state == jobs::JobState::kRunning) {
    Clock::Real()->SleepMs(kPollMs);
    ASSIGN_OR_RETURN(job, FindJob(home, job.job_id, /*done_only=*/false));
    view.Changed(job);
  }
  view.Finish();
  return EndOf(job);
}

}  // namespace

void AddWatch(CLI::App& app, CommandLine* line) {
  const auto job = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(
      "watch",
      "Follow a running job from another terminal; ends as the job ends, with its exit "
      "code");
  command->add_option("job", *job, "The job's id; the last changed job by default");
  command->callback([=] { line->chosen = [=] { return Watch(*job, line->home); }; });
}

}  // namespace halcyon::coordinator
