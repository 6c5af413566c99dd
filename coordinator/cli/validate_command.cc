#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/terminal_text.h"
#include "coordinator/checks/early_checks.h"
#include "coordinator/cli/commands.h"
#include "jobs/job_spec.h"

namespace halcyon::coordinator {
namespace {

struct ValidateArguments {
  std::string job_file;
  std::vector<std::string> set;
  bool json = false;
};

nlohmann::json ToJson(const std::vector<jobs::TrainingEstimate>& estimates) {
  nlohmann::json stages = nlohmann::json::object();
  for (const jobs::TrainingEstimate& estimate : estimates) {
    stages[std::string(jobs::StageName(estimate.kind))] = {
        {"parameters", estimate.parameters},
        {"memory_bytes_min", estimate.memory_bytes},
        {"disk_bytes", estimate.disk_bytes}};
  }
  return stages;
}

absl::Status Validate(const ValidateArguments& arguments) {
  const auto spec = LoadJob(arguments.job_file, arguments.set);
  if (!spec.ok()) {
    if (arguments.json) PrintJson({{"valid", false}, {"error", MessageOf(spec.status())}});
    return spec.status();
  }
  const auto checked = WarningsOf(*spec, jobs::StagesOf(*spec), FindMemoryLimit());
  if (!checked.ok()) {
    const std::string message = arguments.job_file + ": " + MessageOf(checked.status());
    if (arguments.json) PrintJson({{"valid", false}, {"error", message}});
    return InvalidArgument(message);
  }
  const std::vector<std::string>& warnings = *checked;
  ASSIGN_OR_RETURN(const int64_t vocab_size, VocabularyOf(*spec));
  const auto estimates = jobs::EstimateTraining(*spec, vocab_size);
  for (const std::string& warning : warnings) {
    PrintToStandardError("warning: " + arguments.job_file + ": " + warning + "\n");
  }
  if (arguments.json) {
    PrintJson({{"valid", true},
               {"warnings", warnings},
               {"name", spec->name},
               {"sources", spec->data.Files()},
               {"estimate", ToJson(estimates)},
               {"resolved", jobs::ToToml(*spec)}});
  } else {
    PrintText(fmt::format("{}: valid; job \"{}\", {} source file(s)\n", arguments.job_file,
                          spec->name, spec->data.Files().size()));
    for (const std::string& text : EstimateLines(estimates)) PrintText("  " + text + "\n");
  }
  return absl::OkStatus();
}

}  // namespace

void AddValidate(CLI::App& app, CommandLine* line) {
  const auto arguments = std::make_shared<ValidateArguments>();
  CLI::App* command = app.add_subcommand("validate", "Check a job file without running it");
  command->add_option("job_file", arguments->job_file, "The job: a TOML file")->required();
  AddSet(command, &arguments->set);
  command->add_flag("--json", arguments->json, "Print the result and the resolved job as JSON");
  command->callback([=] { line->chosen = [=] { return Validate(*arguments); }; });
}

}  // namespace halcyon::coordinator
