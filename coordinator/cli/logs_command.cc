#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/clock.h"
#include "base/standard_output.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/number_check.h"
#include "coordinator/housekeeping/log_files.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kFollowPollMs = 300;

struct LogsArguments {
  std::string job, process;
  size_t lines = 200;
  bool follow = false;
};

void PrintLines(const std::vector<LogLine>& lines, size_t lines_max) {
  const size_t begin = lines_max > 0 && lines.size() > lines_max ? lines.size() - lines_max : 0;
  std::string text;
  for (size_t i = begin; i < lines.size(); ++i) text += lines[i].text + "\n";
  PrintText(text);
}

absl::Status Logs(const LogsArguments& arguments, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  ASSIGN_OR_RETURN(JobStatus job, FindJob(home, arguments.job, /*done_only=*/false));
  LogReader reader(*Env::Posix(), home.JobLogs(job.job_id), arguments.process);
  ASSIGN_OR_RETURN(const std::vector<std::string> processes, reader.Processes());
  const bool known =
      std::find(processes.begin(), processes.end(), arguments.process) != processes.end();
  if (!arguments.process.empty() && !known) {
    return NotFound(fmt::format("job {} has no log of \"{}\"; there are {}", job.job_id,
                                arguments.process, fmt::join(processes, ", ")));
  }
  ASSIGN_OR_RETURN(std::vector<LogLine> lines, reader.Next());
  PrintLines(lines, arguments.lines);
  // Also ends when the reader has closed the pipe.
  while (arguments.follow && job.state == jobs::JobState::kRunning &&
         StandardOutput::OfProcess().status().ok()) {
    Clock::Real()->SleepMs(kFollowPollMs);
    // The state first: what is written before the end is then read after it.
    ASSIGN_OR_RETURN(job, FindJob(home, job.job_id, /*done_only=*/false));
    ASSIGN_OR_RETURN(lines, reader.Next());
    PrintLines(lines, /*lines_max=*/0);
  }
  return absl::OkStatus();
}

}  // namespace

void AddLogs(CLI::App& app, CommandLine* line) {
  const auto arguments = std::make_shared<LogsArguments>();
  CLI::App* command =
      app.add_subcommand("logs", "Print what a job's processes logged, in the order of time");
  command->add_option("job", arguments->job, "The job's id; the last changed job by default");
  command->add_option("--process", arguments->process,
                      "Only of this process: coordinator, agent-0, model-rank-0, model-launcher");
  command->add_option("--lines", arguments->lines, "Print the last so many lines; 0: all")
      ->check(WholeNumber(0, kCountMax));
  command->add_flag("--follow", arguments->follow,
                    "Then print what is added, until the job does not run any more");
  command->callback([=] { line->chosen = [=] { return Logs(*arguments, line->home); }; });
}

}  // namespace halcyon::coordinator
