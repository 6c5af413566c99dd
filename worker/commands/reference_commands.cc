#include "worker/commands/reference_commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/standard_output.h"
#include "worker/compute_device.h"
#include "worker/reference/probe.h"
#include "worker/reference/reference_export.h"
#include "worker/reference/reference_import.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;

struct Arguments {
  std::string from, autoencoder, tokenizer, pattern, to;
  std::string checkpoint, inputs, output;
  std::string device = "cpu";
  bool json = false;
};

void Print(const std::string& line) { StandardOutput::OfProcess().Print(line + "\n"); }

void PrintLeftOut(const json& facts) {
  for (const json& item : facts["left_out"]) Print("left out: " + item.get<std::string>());
}

absl::Status Import(const Arguments& arguments) {
  ASSIGN_OR_RETURN(
      const json facts,
      ImportReference(*Env::Posix(), arguments.from, arguments.autoencoder, arguments.to,
                      storage::kShardBytesMax, {arguments.tokenizer, arguments.pattern}));
  if (arguments.json) {
    Print(facts.dump());
    return absl::OkStatus();
  }
  Print(fmt::format("{}: {} with {} parameters in {} tensors", arguments.to,
                    facts["kind"].get<std::string>(), facts["parameters"].get<uint64_t>(),
                    facts["tensors"].get<uint64_t>()));
  if (!facts["tokenizer"].is_null()) Print("tokenizer of " + facts["tokenizer"].get<std::string>());
  PrintLeftOut(facts);
  return absl::OkStatus();
}

absl::Status Export(const Arguments& arguments) {
  ASSIGN_OR_RETURN(
      const json facts,
      ExportReference(*Env::Posix(), {arguments.from, arguments.autoencoder, arguments.tokenizer},
                      arguments.to));
  if (arguments.json) {
    Print(facts.dump());
    return absl::OkStatus();
  }
  Print(fmt::format("{}: config.json and {} tensors", arguments.to,
                    facts["tensors"].get<uint64_t>()));
  PrintLeftOut(facts);
  return absl::OkStatus();
}

absl::Status RunProbe(const Arguments& arguments) {
  ASSIGN_OR_RETURN(const ComputeDevice compute, OpenDevice(arguments.device));
  ASSIGN_OR_RETURN(const json facts, Probe(*Env::Posix(), arguments.checkpoint, arguments.inputs,
                                           arguments.output, compute.device));
  if (arguments.json) {
    Print(facts.dump());
    return absl::OkStatus();
  }
  for (const auto& [name, shape] : facts["tensors"].items()) Print(name + " " + shape.dump());
  return absl::OkStatus();
}

}  // namespace

void AddReferenceCommands(CLI::App& app, std::function<absl::Status()>* chosen) {
  const auto arguments = std::make_shared<Arguments>();
  const auto add = [&](const char* name, const char* description,
                       absl::Status (*run)(const Arguments&)) {
    CLI::App* command = app.add_subcommand(name, description);
    command->add_flag("--json", arguments->json);
    command->callback([=] { *chosen = [=] { return run(*arguments); }; });
    return command;
  };
  CLI::App* exporting = add("checkpoint-export", "write a published checkpoint", Export);
  CLI::App* importing = add("checkpoint-import", "import a published checkpoint", Import);
  importing->add_option("--pattern", arguments->pattern);
  for (CLI::App* command : {importing, exporting}) {
    command->add_option("--tokenizer", arguments->tokenizer);
    command->add_option("--from", arguments->from)->required();
    command->add_option("--ae", arguments->autoencoder);
    command->add_option("--to", arguments->to)->required();
  }
  CLI::App* probe = add("probe", "one forward pass with its intermediate values", RunProbe);
  probe->add_option("--checkpoint", arguments->checkpoint)->required();
  probe->add_option("--inputs", arguments->inputs)->required();
  probe->add_option("--output", arguments->output)->required();
  probe->add_option("--device", arguments->device);
}

}  // namespace halcyon::worker
