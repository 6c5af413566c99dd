#include <CLI/CLI.hpp>

#include "base/clock.h"
#include "coordinator/cli/commands.h"
#include "coordinator/display/why.h"
#include "coordinator/housekeeping/orphans.h"
#include "coordinator/submit/whereabouts.h"

namespace halcyon::coordinator {
namespace {

struct WhyArguments {
  std::string job;
  bool json = false;
};

absl::Status PrintWhy(const WhyArguments& arguments, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  ASSIGN_OR_RETURN(JobStatus job, FindJob(home, arguments.job, /*done_only=*/false));
  const int64_t now_ms = Clock::Real()->WallMs();
  JobPlace place;
  place.has_orphans = job.state == jobs::JobState::kInterrupted &&
                      HasWorkers(*Env::Posix(), home, job.job_id).value_or(false);
  const Whereabouts whereabouts = WhereaboutsReader(*Env::Posix(), home).Of(job);
  ShowPlace(whereabouts, &job);
  if (whereabouts.is_outstanding && !whereabouts.is_live) {
    place.waits = whereabouts.text;
    place.slurm = whereabouts.slurm;
  }
  if (whereabouts.coordinator_host != HostName()) place.other_host = whereabouts.coordinator_host;
  const Why why = ExplainJob(job, now_ms, place);
  if (arguments.json) {
    PrintJson(ToJson(why, job.job_id));
  } else {
    PrintText(WhyText(why, job.job_id, now_ms));
  }
  return absl::OkStatus();
}

}  // namespace

void AddWhy(CLI::App& app, CommandLine* line) {
  const auto arguments = std::make_shared<WhyArguments>();
  CLI::App* command = app.add_subcommand(
      "why", "Say why a job stands where it stands: what it waits for, who is stuck, what to do");
  command->add_option("job", arguments->job, "The job's id; the last changed job by default");
  command->add_flag("--json", arguments->json, "Print as JSON");
  command->callback([=] { line->chosen = [=] { return PrintWhy(*arguments, line->home); }; });
}

}  // namespace halcyon::coordinator
