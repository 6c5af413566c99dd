#include <CLI/CLI.hpp>

#include "base/clock.h"
#include "coordinator/cli/commands.h"
#include "coordinator/progress_view.h"

namespace halcyon::coordinator {
namespace {

constexpr int kUnlimitedWidth = 240;
constexpr size_t kAllLines = 1000;

struct StatusArguments {
  std::string job;
  bool json = false;
};

absl::Status Status(const StatusArguments& arguments, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  ASSIGN_OR_RETURN(const JobStatus job, FindJob(home, arguments.job, /*done_only=*/false));
  if (arguments.json) {
    PrintJson(ToJson(job));
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
  if (job.state == jobs::JobState::kInterrupted) {
    PrintText("  no process runs it now; run the same command again to go on\n");
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
  command->add_option("job", arguments->job, "The job's id; the last changed job by default");
  command->add_flag("--json", arguments->json, "Print as JSON");
  command->callback([=] { line->chosen = [=] { return Status(*arguments, line->home); }; });
}

}  // namespace halcyon::coordinator
