#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/clock.h"
#include "coordinator/cli/commands.h"
#include "coordinator/progress_view.h"

namespace halcyon::coordinator {
namespace {

// The stage that a job is at: the first that is not finished.
std::string StageWord(const JobStatus& status) {
  for (const StageStatus& stage : status.stages) {
    if (stage.state != jobs::StageState::kDone && stage.state != jobs::StageState::kReused) {
      return std::string(jobs::StageName(stage.kind));
    }
  }
  return "all stages";
}

absl::Status ListJobs(bool as_json, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  std::vector<std::string> unreadable;
  ASSIGN_OR_RETURN(const std::vector<JobStatus> jobs, AllJobs(home, &unreadable));
  if (as_json) {
    nlohmann::json list = nlohmann::json::array();
    for (const JobStatus& job : jobs) list.push_back(ToJson(job));
    PrintJson({{"home", home.root}, {"jobs", list}, {"unreadable", unreadable}});
    return absl::OkStatus();
  }
  if (jobs.empty() && unreadable.empty()) PrintText("no job in " + home.root + "\n");
  const int64_t now_ms = Clock::Real()->WallMs();
  for (const JobStatus& job : jobs) {
    PrintText(fmt::format("{:<32} {:<12} {:<12} {} ago\n", job.job_id, jobs::NameOf(job.state),
                          StageWord(job), FormatDuration(now_ms - job.updated_ms)));
  }
  for (const std::string& line : unreadable) PrintText("unreadable: " + line + "\n");
  return absl::OkStatus();
}

}  // namespace

void AddList(CLI::App& app, CommandLine* line) {
  const auto as_json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("list", "List the jobs, the last changed first");
  command->add_flag("--json", *as_json, "Print as JSON");
  command->callback([=] { line->chosen = [=] { return ListJobs(*as_json, line->home); }; });
}

}  // namespace halcyon::coordinator
