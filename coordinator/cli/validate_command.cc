#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/terminal_text.h"
#include "coordinator/cli/commands.h"
#include "jobs/job_spec.h"

namespace halcyon::coordinator {
namespace {

struct ValidateArguments {
  std::string job_file;
  bool json = false;
};

absl::Status Validate(const ValidateArguments& arguments) {
  const auto spec = jobs::LoadJobSpec(arguments.job_file);
  if (!spec.ok()) {
    if (arguments.json) PrintJson({{"valid", false}, {"error", MessageOf(spec.status())}});
    return spec.status();
  }
  const std::vector<std::string> warnings = jobs::Warnings(*spec);
  for (const std::string& warning : warnings) {
    PrintToStandardError("warning: " + arguments.job_file + ": " + warning + "\n");
  }
  if (arguments.json) {
    PrintJson({{"valid", true},
               {"warnings", warnings},
               {"name", spec->name},
               {"sources", spec->data.sources},
               {"resolved", jobs::ToToml(*spec)}});
  } else {
    PrintText(fmt::format("{}: valid; job \"{}\", {} source file(s)\n", arguments.job_file,
                          spec->name, spec->data.sources.size()));
  }
  return absl::OkStatus();
}

}  // namespace

void AddValidate(CLI::App& app, CommandLine* line) {
  const auto arguments = std::make_shared<ValidateArguments>();
  CLI::App* command = app.add_subcommand("validate", "Check a job file without running it");
  command->add_option("job_file", arguments->job_file, "The job: a TOML file")->required();
  command->add_flag("--json", arguments->json, "Print the result and the resolved job as JSON");
  command->callback([=] { line->chosen = [=] { return Validate(*arguments); }; });
}

}  // namespace halcyon::coordinator
