#include "coordinator/cli/command_line.h"

#include <CLI/CLI.hpp>
#include <exception>
#include <new>
#include <sstream>

#include "base/exit_code.h"
#include "base/standard_output.h"
#include "base/terminal_text.h"
#include "coordinator/cli/commands.h"

namespace halcyon::coordinator {
namespace {

constexpr size_t kHelpColumn = 34;

// One "error: " a line: a job file's errors come several at once.
void PrintError(const std::string& message) {
  std::istringstream lines(message);
  for (std::string line; std::getline(lines, line);) {
    PrintToStandardError("error: " + line + "\n");
  }
}

int Report(const absl::Status& status) {
  if (!status.ok()) {
    std::string message = MessageOf(status);
    if (absl::IsResourceExhausted(status)) {
      message += "; free some space and run the same command again";
    }
    PrintError(message);
  }
  return static_cast<int>(ExitCodeOf(status));
}

}  // namespace

int RunCommandLine(int argc, const char* const* argv) {
  CLI::App app("Halcyon trains continuous autoregressive language models from one TOML file.",
               "halcyon");
  CommandLine line;
  app.option_defaults()->always_capture_default();
  app.get_formatter()->column_width(kHelpColumn);
  app.add_option("--home", line.home,
                 "State folder; by default HALCYON_HOME, else $XDG_STATE_HOME/halcyon");
  app.set_version_flag("--version", "halcyon " + Version(), "Print the version and exit");
  app.require_subcommand(1);
  app.fallthrough();
  AddInit(app, &line);
  AddRun(app, &line);
  AddSubmit(app, &line);
  AddValidate(app, &line);
  AddList(app, &line);
  AddStatus(app, &line);
  AddWhy(app, &line);
  AddWatch(app, &line);
  AddLogs(app, &line);
  AddMetrics(app, &line);
  AddPlot(app, &line);
  AddAudit(app, &line);
  AddCache(app, &line);
  AddCheckpoint(app, &line);
  AddWait(app, &line);
  AddCancel(app, &line);
  AddResume(app, &line);
  AddRm(app, &line);
  AddHome(app, &line);
  AddQueueDaemon(app, &line);
  AddDrill(app, &line);
  AddRequeue(app, &line);
  AddMember(app, &line);
  AddTokenizer(app, &line);
  AddEval(app, &line);
  AddGenerate(app, &line);
  AddProbe(app, &line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      std::ostringstream help;
      app.exit(error, help, help);
      PrintText(help.str());
      return Report(StandardOutput::OfProcess().Finish());
    }
    PrintError(std::string(error.what()) + "; see " + app.get_name() + " --help");
    return static_cast<int>(ExitCode::kBadInput);
  }
  absl::Status status;
  // What a library throws about a damaged or enormous file is an error like others.
  try {
    status = line.chosen();
  } catch (const std::bad_alloc&) {
    status = Internal("out of memory");
  } catch (const std::exception& error) {
    status = Internal(error.what());
  }
  const absl::Status printed = StandardOutput::OfProcess().Finish();
  const int code = Report(status.ok() ? printed : status);
  return !status.ok() && line.failure ? static_cast<int>(*line.failure) : code;
}

}  // namespace halcyon::coordinator
