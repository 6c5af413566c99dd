#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/clock.h"
#include "base/standard_output.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/number_check.h"
#include "coordinator/housekeeping/log_files.h"
#include "coordinator/housekeeping/log_record.h"
#include "coordinator/submit/end_watch.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kFollowPollMs = 300;

struct LogsArguments {
  std::string job, process;
  int64_t rank = -1;
  size_t lines = 200;
  bool follow = false;
  bool json = false;
};

// As one line of text. What is not UTF-8, as a library may print it, is replaced.
std::string PrintedLine(const LogLine& line, bool as_json) {
  if (!as_json) return line.text + "\n";
  return JsonOfLine(line).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void PrintLines(const std::vector<LogLine>& lines, size_t lines_max, bool as_json) {
  const size_t begin = lines_max > 0 && lines.size() > lines_max ? lines.size() - lines_max : 0;
  std::string text;
  for (size_t i = begin; i < lines.size(); ++i) text += PrintedLine(lines[i], as_json);
  PrintText(text);
}

absl::Status Logs(const LogsArguments& arguments, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  ASSIGN_OR_RETURN(JobStatus job, FindJob(home, arguments.job, /*done_only=*/false));
  const auto rank = arguments.rank >= 0 ? std::optional(arguments.rank) : std::nullopt;
  LogReader reader(*Env::Posix(), home.JobLogs(job.job_id), arguments.process, rank);
  ASSIGN_OR_RETURN(const std::vector<std::string> processes, reader.Processes());
  const bool known =
      std::any_of(processes.begin(), processes.end(),
                  [&](const std::string& process) { return reader.IsChosen(process); });
  // A rank may yet come.
  if (!known && !(arguments.follow && rank)) {
    return NotFound(
        fmt::format("job {} has no log of {}; there are {}", job.job_id,
                    rank ? fmt::format("rank {}", *rank) : "\"" + arguments.process + "\"",
                    fmt::join(processes, ", ")));
  }
  ASSIGN_OR_RETURN(std::vector<LogLine> lines, reader.Next());
  PrintLines(lines, arguments.lines, arguments.json);
  // Also ends when the reader has closed the pipe.
  EndWatch watch(home);
  bool ended = !arguments.follow;
  while (!ended && StandardOutput::OfProcess().status().ok()) {
    Clock::Real()->SleepMs(kFollowPollMs);
    // The state first: what is written before the end is then read after it.
    ASSIGN_OR_RETURN(job, FindJob(home, job.job_id, /*done_only=*/false));
    ASSIGN_OR_RETURN(ended, watch.HasEnded(&job));
    ASSIGN_OR_RETURN(lines, reader.Next());
    PrintLines(lines, /*lines_max=*/0, arguments.json);
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
  command->add_option("--rank", arguments->rank, "Only of the ranks of this number")
      ->check(WholeNumber(0, kCountMax))
      ->default_str("");
  command->add_option("--lines", arguments->lines, "Print the last so many lines; 0: all")
      ->check(WholeNumber(0, kCountMax));
  command->add_flag("-f,--follow", arguments->follow,
                    "Then print what is added, until the job has ended");
  command->add_flag("--json", arguments->json, "Print each line as a JSON object");
  command->callback([=] { line->chosen = [=] { return Logs(*arguments, line->home); }; });
}

}  // namespace halcyon::coordinator
