#include <CLI/CLI.hpp>

#include "base/clock.h"
#include "coordinator/cli/commands.h"
#include "coordinator/display/progress_view.h"
#include "coordinator/submit/end_watch.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kPollMs = 300;

absl::Status Watch(const std::string& job_id, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  ASSIGN_OR_RETURN(JobStatus job, FindJob(home, job_id, /*done_only=*/false));
  ProgressView view(Clock::Real(), stdout, [] { return SizeOfTerminal(stdout); });
  EndWatch watch(home);
  std::string told;
  while (true) {
    view.Changed(job);
    ASSIGN_OR_RETURN(const bool ended, watch.HasEnded(&job));
    if (ended) break;
    // Of a job that waits the status does not say where.
    if (job.state != jobs::JobState::kRunning && watch.place() != told) {
      told = watch.place();
      view.Notify("job " + job.job_id + " " + told);
    }
    Clock::Real()->SleepMs(kPollMs);
    ASSIGN_OR_RETURN(job, FindJob(home, job.job_id, /*done_only=*/false));
  }
  view.Finish();
  if (job.state == jobs::JobState::kPartial) PrintText(job.MadeUntil() + "\n");
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
