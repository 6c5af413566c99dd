// `halcyon checkpoint import`, `checkpoint export` and `halcyon probe`: handed over to
// halcyon-worker, which has the networks.
#include <CLI/CLI.hpp>
#include <map>

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

}  // namespace

void AddReferenceCheckpoint(CLI::App& checkpoint, CommandLine* line) {
  AddHandedOver(&checkpoint, line, "import", "checkpoint-import",
                "Take over a published CALM checkpoint, or a Llama-style baseline",
                {{"--from", "Its folder: config.json and the weights"},
                 {"--ae", "Folder of its autoencoder's checkpoint, when it has none in it", false},
                 {"--to", "Folder to write; new or empty"}});
  AddHandedOver(&checkpoint, line, "export", "checkpoint-export",
                "Write a checkpoint that the published code loads",
                {{"--from", "A folder that import wrote, or an artifact of training"},
                 {"--ae", "The artifact of a trained model's autoencoder", false},
                 {"--to", "Folder to write; new or empty"}});
}

void AddProbe(CLI::App& app, CommandLine* line) {
  AddHandedOver(&app, line, "probe", "probe",
                "Run one forward pass and write what it computes on the way",
                {{"--checkpoint", "A folder that `checkpoint import` wrote"},
                 {"--inputs", "safetensors file of the inputs"},
                 {"--output", "safetensors file to write"}});
}

}  // namespace halcyon::coordinator
