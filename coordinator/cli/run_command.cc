#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/standard_output.h"
#include "base/terminal_text.h"
#include "coordinator/cli/commands.h"
#include "coordinator/display/progress_view.h"
#include "coordinator/display/summary.h"
#include "coordinator/run_job.h"
#include "coordinator/submit/submit_job.h"
#include "coordinator/submit/whereabouts.h"

namespace halcyon::coordinator {
namespace {

struct RunArguments {
  std::string job_file;
  RunOptions options;
  bool json = false;
  bool quiet = false;
  bool detach = false;
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

// What a queue or Slurm has is not run beside it.
absl::Status CheckNotQueued(const RunArguments& arguments, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const SubmittedJob job,
                   ReadJobToSubmit(arguments.job_file, arguments.options.set,
                                   arguments.options.until, home_flag, Launcher::kForeground));
  const std::string& id = job.submission.job_id;
  const Whereabouts place = WhereaboutsReader(*Env::Posix(), job.home).Of(id);
  if (!place.is_outstanding || place.is_live) return absl::OkStatus();
  return FailedPrecondition("job " + id + " " + place.text +
                            ": it will run there; take it back with `halcyon cancel " + id + "`");
}

absl::Status RunInBackground(const RunArguments& arguments, const std::string& home_flag) {
  if (arguments.options.remake_damaged || arguments.options.from_scratch) {
    return InvalidArgument(
        "-d does not go with --remake-damaged or --from-scratch; run without it");
  }
  ASSIGN_OR_RETURN(SubmittedJob job,
                   ReadJobToSubmit(arguments.job_file, arguments.options.set,
                                   arguments.options.until, home_flag, Launcher::kBackground));
  RETURN_IF_ERROR(SubmitAs(*Env::Posix(), &job));
  const std::string& id = job.submission.job_id;
  if (arguments.json) {
    PrintJson({{"job", id}, {"launcher", NameOf(Launcher::kBackground)}});
  } else {
    PrintText(
        fmt::format("job {0} runs in the background\nfollow it with `halcyon watch {0}`, stop "
                    "it with `halcyon cancel {0}`; its output is in {1}\n",
                    id, job.home.JobLogs(id)));
  }
  return absl::OkStatus();
}

absl::Status Run(const RunArguments& arguments, const std::string& home) {
  if (arguments.detach) return RunInBackground(arguments, home);
  if (arguments.options.submission.empty()) RETURN_IF_ERROR(CheckNotQueued(arguments, home));
  auto finished = RunWithView(arguments, home);
  RETURN_IF_ERROR(finished.status());
  const absl::Status counted =
      AddSourceCounts(*Env::Posix(), finished->spec.data, &finished->artifacts);
  if (!counted.ok()) {  // the job is done all the same
    PrintToStandardError("warning: no figures by source: " + MessageOf(counted) + "\n");
  }
  const nlohmann::json summary = SummaryJson(finished->status, finished->artifacts);
  const std::string path = JoinPath(finished->home.Job(finished->status.job_id), "summary.json");
  RETURN_IF_ERROR(WriteFileAtomically(*Env::Posix(), path, summary.dump(2) + "\n"));
  if (arguments.json) {
    PrintJson(summary);
  } else if (!arguments.quiet && StandardOutput::OfProcess().IsOpen()) {
    // Started without a standard output, a run prints no summary and is no failure for that.
    PrintText(SummaryText(finished->status, finished->artifacts, home));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunInForeground(const std::string& job_file, const std::vector<std::string>& set_words,
                             const std::string& until, const std::string& home_flag) {
  RunArguments arguments;
  arguments.job_file = job_file;
  arguments.options.set = set_words;
  arguments.options.until = until;
  return Run(arguments, home_flag);
}

void AddRun(CLI::App& app, CommandLine* line) {
  const auto arguments = std::make_shared<RunArguments>();
  CLI::App* command = app.add_subcommand(
      "run", "Run a job from text to weights; run it again to go on after an interruption");
  command->add_option("job_file", arguments->job_file, "The job: a TOML file")->required();
  AddSet(command, &arguments->options.set);
  AddUntil(command, &arguments->options.until);
  command->add_flag("-d,--detach", arguments->detach,
                    "Go on in the background: print the job's id and return");
  command->add_option("--submission", arguments->options.submission,
                      "For queues and Slurm's scripts: the submission that this run is for");
  command->add_flag("--quiet", arguments->quiet, "Print nothing but warnings and errors");
  command->add_flag("--json", arguments->json, "Print the summary as JSON, progress to stderr");
  command->add_flag("--remake-damaged", arguments->options.remake_damaged,
                    "Read the job's artifacts whole, set damaged ones aside and make them again");
  command->add_flag("--from-scratch", arguments->options.from_scratch,
                    "Start unfinished stages over; what they had is set aside");
  command->callback([=] { line->chosen = [=] { return Run(*arguments, line->home); }; });
}

}  // namespace halcyon::coordinator
