#include <CLI/CLI.hpp>

#include "base/clock.h"
#include "coordinator/cli/commands.h"
#include "coordinator/display/progress_view.h"
#include "coordinator/housekeeping/orphans.h"
#include "coordinator/page/serve_page.h"
#include "coordinator/submit/whereabouts.h"

namespace halcyon::coordinator {
namespace {

constexpr int kUnlimitedWidth = 240;
constexpr size_t kAllLines = 1000;

struct StatusArguments {
  std::string job;
  bool json = false;
  ServeOptions page;
};

// Serves the page of all jobs until a signal comes.
absl::Status Serve(const StatusArguments& arguments, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  const auto list_jobs = [home](std::vector<std::string>* unreadable) {
    return AllJobs(home, unreadable);
  };
  return ServePage(arguments.page, home, list_jobs, [&](const std::string& url) {
    if (arguments.json) return PrintJson({{"url", url}});
    PrintText("the jobs of " + home.root + " are at " + url + " until Ctrl-C\n");
  });
}

absl::Status Status(const StatusArguments& arguments, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  ASSIGN_OR_RETURN(JobStatus job, FindJob(home, arguments.job, /*done_only=*/false));
  const Whereabouts place = WhereaboutsReader(*Env::Posix(), home).Of(job);
  ShowPlace(place, &job);
  if (arguments.json) {
    nlohmann::json json = ToJson(job);
    json["submission"] = ToJson(place);
    PrintJson(json);
    return absl::OkStatus();
  }
  // A job that does not run is shown at the time of its last change.
  const bool runs = job.state == jobs::JobState::kRunning;
  const int64_t now_ms = runs ? Clock::Real()->WallMs() : job.updated_ms;
  const int columns = TerminalWidth(stdout);
  const int width = columns > 0 ? columns : kUnlimitedWidth;
  for (const std::string& line : FormatBlock(job, now_ms, width, kAllLines)) {
    PrintText(line + "\n");
  }
  if (!job.error.empty()) PrintText("  " + job.error + "\n");
  if (job.state == jobs::JobState::kPartial) {
    PrintText("  " + job.MadeUntil() + "; the same command without --until goes on\n");
  }
  if (!place.text.empty()) PrintText("  " + place.text + "\n");
  if (job.state == jobs::JobState::kInterrupted) {
    const bool has_orphans = HasWorkers(*Env::Posix(), home, job.job_id).value_or(false);
    PrintText(has_orphans
                  ? "  its coordinator is gone, ranks or agents go on: run the same command "
                    "again to take them over, or halcyon cancel to end them\n"
                  : "  no process runs it now; run the same command again to go on\n");
  }
  PrintText("\n");
  for (const std::string& line : FormatGraph(job, width)) PrintText(line + "\n");
  return absl::OkStatus();
}

}  // namespace

void AddStatus(CLI::App& app, CommandLine* line) {
  const auto arguments = std::make_shared<StatusArguments>();
  CLI::App* command =
      app.add_subcommand("status", "Show how far a job is, and the graph of its stages");
  CLI::Option* job =
      command->add_option("job", arguments->job, "The job's id; the last changed job by default");
  command->add_flag("--json", arguments->json, "Print as JSON");
  CLI::Option* http =
      command
          ->add_option("--http", arguments->page.address,
                       "Serve a page with all jobs at this address, such as 127.0.0.1:8080 (port "
                       "0: any free one), until Ctrl-C; /metrics there is for Prometheus")
          ->type_name("ADDRESS:PORT")
          ->excludes(job)
          ->default_str("");
  command
      ->add_flag("--http-public", arguments->page.is_public,
                 "The address may be one that other machines can reach: whoever does reads "
                 "everything on the page")
      ->needs(http);
  command->callback([=] {
    line->chosen = [=] {
      return arguments->page.address.empty() ? Status(*arguments, line->home)
                                             : Serve(*arguments, line->home);
    };
  });
}

}  // namespace halcyon::coordinator
