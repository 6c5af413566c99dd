#include <CLI/CLI.hpp>

#include "base/clock.h"
#include "base/terminal_text.h"
#include "coordinator/cli/choice_option.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/number_check.h"
#include "coordinator/drill/drill.h"
#include "coordinator/stop_signals.h"

namespace halcyon::coordinator {
namespace {

struct DrillArguments {
  DrillOptions options;
  bool json = false;
};

absl::Status RunDrillCommand(const DrillArguments& arguments, const std::string& home_flag,
                             std::optional<ExitCode>* failure) {
  DrillOptions options = arguments.options;
  ASSIGN_OR_RETURN(options.home, storage::ChooseHome(home_flag));
  CountStopSignals();
  // Standard output has the result alone.
  const auto tell = [](const std::string& line) { PrintToStandardError(line + "\n"); };
  ASSIGN_OR_RETURN(const DrillResult result, RunDrill(*Env::Posix(), *Clock::Real(), options, tell,
                                                      [] { return StopSignals() > 0; }));
  if (arguments.json) {
    PrintJson(ToJson(result.outcomes));
  } else {
    PrintText(TextOf(result.outcomes));
  }
  if (!result.folder.empty()) tell("the drill's files are in " + result.folder);
  *failure = ExitCode::kNotSurvived;
  return VerdictOf(result.outcomes);
}

}  // namespace

void AddDrill(CLI::App& app, CommandLine* line) {
  const auto arguments = std::make_shared<DrillArguments>();
  DrillOptions& options = arguments->options;
  CLI::App* command = app.add_subcommand(
      "drill",
      "Make faults on purpose in a small job of its own, here or on the cluster, and say "
      "what each cost");
  AddChoice(command, "--launcher", &options.by_slurm, {{"local", false}, {"slurm", true}},
            "Who runs the job: this process, or Slurm");
  command
      ->add_option("--faults", options.faults,
                   "With commas between: kill-rank, stop-rank, stuck-rank, kill-launcher, "
                   "kill-coordinator, kill-agent, preempt")
      ->default_str("all that can be made");
  AddSet(command, &options.set);
  command
      ->add_option("--timeout", options.seconds_max,
                   "Seconds from a fault to its job's end, at most; 0: no limit")
      ->check(WholeNumber(0, kCountMax));
  command->add_flag("--keep", options.keep, "Leave the drill's folder, with its jobs and logs");
  command->add_flag("--json", arguments->json, "Print the result as a JSON array");
  command->callback([=] {
    line->chosen = [=] { return RunDrillCommand(*arguments, line->home, &line->failure); };
  });
}

}  // namespace halcyon::coordinator
