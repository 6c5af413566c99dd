#include <CLI/CLI.hpp>

#include "base/standard_output.h"
#include "base/terminal_text.h"
#include "coordinator/cli/commands.h"
#include "coordinator/progress_view.h"
#include "coordinator/run_job.h"
#include "coordinator/summary.h"

namespace halcyon::coordinator {
namespace {

struct RunArguments {
  std::string job_file;
  RunOptions options;
  bool json = false;
  bool quiet = false;
};

// Warnings alone, to standard error.
class QuietObserver : public JobObserver {
 public:
  void Changed(const JobStatus&) override {}
  void Notify(std::string_view line) override {
    if (line.starts_with("warning:")) PrintToStandardError(std::string(line) + "\n");
  }
};

absl::StatusOr<FinishedJob> RunWithView(const RunArguments& arguments, const std::string& home) {
  if (arguments.quiet) {
    QuietObserver quiet;
    return RunJob(arguments.job_file, home, arguments.options, &quiet);
  }
  // With --json standard output is one document; the progress goes beside it.
  std::FILE* out = arguments.json ? stderr : stdout;
  ProgressView view(Clock::Real(), out, [out] { return SizeOfTerminal(out); });
  auto finished = RunJob(arguments.job_file, home, arguments.options, &view);
  view.Finish();
  return finished;
}

absl::Status Run(const RunArguments& arguments, const std::string& home) {
  const auto finished = RunWithView(arguments, home);
  RETURN_IF_ERROR(finished.status());
  const nlohmann::json summary = SummaryJson(finished->status, finished->artifacts);
  const std::string path = JoinPath(finished->home.Job(finished->status.job_id), "summary.json");
  RETURN_IF_ERROR(WriteFileAtomically(*Env::Posix(), path, summary.dump(2) + "\n"));
  if (arguments.json) {
    PrintJson(summary);
  } else if (!arguments.quiet && StandardOutput::OfProcess().IsOpen()) {
    // Started without a standard output, a run prints no summary and is no failure for that.
    PrintText(SummaryText(finished->status, finished->artifacts));
  }
  return absl::OkStatus();
}

}  // namespace

void AddRun(CLI::App& app, CommandLine* line) {
  const auto arguments = std::make_shared<RunArguments>();
  CLI::App* command = app.add_subcommand(
      "run", "Run a job from text to weights; run it again to go on after an interruption");
  command->add_option("job_file", arguments->job_file, "The job: a TOML file")->required();
  AddSet(command, &arguments->options.set);
  command->add_flag("--quiet", arguments->quiet, "Print nothing but warnings and errors");
  command->add_flag("--json", arguments->json, "Print the summary as JSON, progress to stderr");
  command->add_flag("--remake-damaged", arguments->options.remake_damaged,
                    "Read the job's artifacts whole, set damaged ones aside and make them again");
  command->add_flag("--from-scratch", arguments->options.from_scratch,
                    "Start unfinished stages over; what they had is set aside");
  command->callback([=] { line->chosen = [=] { return Run(*arguments, line->home); }; });
}

}  // namespace halcyon::coordinator
