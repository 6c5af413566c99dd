// `halcyon checkpoint import`, `checkpoint export` and `halcyon probe`: executed by halcyon-worker,
// which has the networks.
#include <CLI/CLI.hpp>
#include <map>

#include "coordinator/cli/choose_inputs.h"
#include "coordinator/cli/commands.h"

namespace halcyon::coordinator {
namespace {

struct Option {
  std::string name, description;
  bool required = true;
};

// The worker checks values; this program knows which options there are.
void AddHandedOver(CLI::App* parent, CommandLine* line, const std::string& name,
                   const std::string& worker_command, const std::string& description,
                   const std::vector<Option>& options) {
  const auto words = std::make_shared<std::vector<std::string>>(1, worker_command);
  CLI::App* command = parent->add_subcommand(name, description);
  for (const Option& option : options) {
    command
        ->add_option_function<std::string>(
            option.name,
            [words, name = option.name](const std::string& value) {
              words->push_back(name + "=" + value);
            },
            option.description)
        ->required(option.required);
  }
  command->add_flag_callback(
      "--json", [words] { words->push_back("--json"); }, "Print as JSON");
  command->callback([=] { line->chosen = [=] { return ExecWorker(*words); }; });
}

struct ExportArguments {
  std::string job, from, autoencoder, tokenizer, to;
  bool json = false;
};

// The stage whose artifact lies in `dir`; a model where nothing says which.
absl::StatusOr<std::string> StageOf(const std::string& dir) {
  const auto artifact = storage::ReadArtifact(*Env::Posix(), dir);
  if (absl::IsNotFound(artifact.status())) return "model";
  RETURN_IF_ERROR(artifact.status());
  return std::string(jobs::StageName(artifact->record.kind));
}

absl::Status Export(const ExportArguments& arguments, const std::string& home_flag) {
  std::vector<std::string> words = {"checkpoint-export", "--to=" + arguments.to};
  if (arguments.json) words.push_back("--json");
  const std::string reference = JoinPath(arguments.from, "reference.json");
  if (!arguments.from.empty() && Env::Posix()->Exists(reference)) {
    words.push_back("--from=" + arguments.from);
    if (!arguments.autoencoder.empty()) words.push_back("--ae=" + arguments.autoencoder);
    if (!arguments.tokenizer.empty()) words.push_back("--tokenizer=" + arguments.tokenizer);
    return ExecWorker(std::move(words));
  }
  std::string stage = "model";
  std::map<std::string, std::string> given;
  if (!arguments.from.empty()) {
    ASSIGN_OR_RETURN(stage, StageOf(arguments.from));
    given[stage] = arguments.from;
  }
  if (!arguments.autoencoder.empty()) given["autoencoder"] = arguments.autoencoder;
  if (!arguments.tokenizer.empty()) given["tokenizer"] = arguments.tokenizer;
  std::vector<std::string> stages = {"model", "autoencoder", "tokenizer"};
  if (stage == "autoencoder") stages.erase(stages.begin());
  ASSIGN_OR_RETURN(const ModelInputs inputs, ChooseInputs(stages, given, arguments.job, home_flag));
  const auto add = [&](const std::string& option, const std::string& of) {
    const auto input = inputs.find(of);
    if (input != inputs.end()) words.push_back(option + "=" + input->second.dir);
  };
  add("--from", stage);
  if (stage == "model") add("--ae", "autoencoder");
  add("--tokenizer", "tokenizer");
  return ExecWorker(std::move(words));
}

}  // namespace

void AddReferenceCheckpoint(CLI::App& checkpoint, CommandLine* line) {
  AddHandedOver(&checkpoint, line, "import", "checkpoint-import",
                "Import a published CALM checkpoint, or a Llama-style baseline",
                {{"--from", "Its folder: config.json and the weights"},
                 {"--ae", "Folder of its autoencoder's checkpoint, when it has none in it", false},
                 {"--tokenizer",
                  "Its tokenizer's file, of any kind; tokenizer.json or tokenizer.model in its "
                  "folder when not given",
                  false},
                 {"--pattern", "How a file of ranks splits text: a name or an expression", false},
                 {"--to", "Folder to write; new or empty"}});
  const auto arguments = std::make_shared<ExportArguments>();
  CLI::App* command = checkpoint.add_subcommand(
      "export", "Write a checkpoint that the published code loads, with autoencoder and tokenizer");
  command->add_option("--job", arguments->job, kJobHelp);
  command->add_option("--from", arguments->from,
                      "A folder that import wrote, or an artifact of training, in place of a job");
  command->add_option("--ae", arguments->autoencoder,
                      "The artifact of the model's autoencoder, where no record names it");
  command->add_option("--tokenizer", arguments->tokenizer,
                      "The tokenizer's artifact or tokenizer.json, where no record names it");
  command->add_option("--to", arguments->to, "Folder to write; new or empty")->required();
  command->add_flag("--json", arguments->json, "Print as JSON");
  command->callback([=] { line->chosen = [=] { return Export(*arguments, line->home); }; });
}

void AddProbe(CLI::App& app, CommandLine* line) {
  AddHandedOver(&app, line, "probe", "probe",
                "Run one forward pass and write its intermediate values",
                {{"--checkpoint", "A folder that `checkpoint import` wrote"},
                 {"--inputs", "safetensors file of the inputs"},
                 {"--output", "safetensors file to write"},
                 {"--device", "cpu, cuda or auto; cpu when not given", /*required=*/false}});
}

}  // namespace halcyon::coordinator
