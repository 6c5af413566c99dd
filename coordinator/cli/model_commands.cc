// `halcyon eval` and `halcyon generate`: this program finds the artifacts and executes
// halcyon-worker, which has the networks.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>

#include "cluster/launcher.h"
#include "coordinator/cli/choose_inputs.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/number_check.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kSeedMax = std::numeric_limits<int64_t>::max();
constexpr double kNoiseMax = 1e6;
// A softmax baseline takes any; the worker checks what else a model requires.
constexpr double kTemperatureMax = 1000;

struct ModelArguments {
  std::string job;
  std::map<std::string, std::string> artifacts;  // stage -> folder, as given
  std::map<std::string, std::string> values;     // option -> value, as given
  std::vector<std::string> flags;                // as given
  bool json = false;
};

struct ModelOption {
  std::string name, description;
  NumberCheck check = {};          // empty: any text
  std::string default_value = "";  // given to the worker, so that what --help says is true
  std::string type = "NUMBER";
};

// A check for one of a few words.
NumberCheck OneWordOf(const std::vector<std::string>& words) {
  return [words](const std::string& text) -> std::string {
    if (std::find(words.begin(), words.end(), text) != words.end()) return "";
    return fmt::format("\"{}\" is not one of {}", text, fmt::join(words, ","));
  };
}

ModelOption DeviceOption() {
  return {"--device", "auto: a GPU where there is one, else the CPU",
          OneWordOf({"auto", "cpu", "cuda"}), "auto", "{auto,cpu,cuda}"};
}

struct ModelCommand {
  std::string name, description;
  std::vector<std::string> stages;  // artifacts that it needs
  std::vector<ModelOption> options;
  std::vector<std::pair<std::string, std::string>> flags = {};
  // Arithmetic as that of the agents, where other commands may be faster.
  bool is_reproducible = false;
};

absl::Status HandOver(const ModelCommand& command, const ModelArguments& arguments,
                      const std::string& home_flag) {
  ASSIGN_OR_RETURN(const ModelInputs inputs,
                   ChooseInputs(command.stages, arguments.artifacts, arguments.job, home_flag));
  std::vector<std::string> words = {command.name};
  for (const auto& [stage, input] : inputs) {
    words.insert(words.end(), {"--" + stage, input.dir});
  }
  // One word an option, so that a prompt that begins with "-" is not taken for another.
  for (const auto& [option, value] : arguments.values) {
    if (!value.empty()) words.push_back(option + "=" + value);
  }
  words.insert(words.end(), arguments.flags.begin(), arguments.flags.end());
  if (arguments.json) words.push_back("--json");
  if (command.is_reproducible) {
    for (const auto& [name, value] :
         cluster::ReproducibleEnvironment(1, jobs::LaunchSpec().arithmetic)) {
      setenv(name.c_str(), value.c_str(), /*overwrite=*/1);
    }
  }
  return ExecWorker(std::move(words));
}

void AddModelCommand(CLI::App& app, CommandLine* line, const ModelCommand& model_command) {
  const auto arguments = std::make_shared<ModelArguments>();
  CLI::App* command = app.add_subcommand(model_command.name, model_command.description);
  command->add_option("--job", arguments->job, kJobHelp);
  for (const std::string& stage : model_command.stages) {
    command->add_option_function<std::string>(
        "--" + stage,
        [arguments, stage](const std::string& dir) { arguments->artifacts[stage] = dir; },
        "Folder of the " + stage + " artifact; artifacts not named are found by its record");
  }
  for (const ModelOption& option : model_command.options) {
    CLI::Option* added = command->add_option_function<std::string>(
        option.name,
        [arguments, name = option.name](const std::string& value) {
          arguments->values[name] = value;
        },
        option.description);
    added->type_name(option.type);
    if (option.check) added->check(option.check);
    if (option.default_value.empty()) continue;
    added->default_str(option.default_value);
    arguments->values[option.name] = option.default_value;
  }
  for (const auto& [flag, description] : model_command.flags) {
    command->add_flag_callback(
        flag, [arguments, flag = flag] { arguments->flags.push_back(flag); }, description);
  }
  command->add_flag("--json", arguments->json, "Print as JSON");
  command->callback(
      [=] { line->chosen = [=] { return HandOver(model_command, *arguments, line->home); }; });
}

}  // namespace

void AddEval(CLI::App& app, CommandLine* line) {
  AddModelCommand(
      app, line,
      {"eval",
       "Score a trained model, an autoencoder or both on held-out text: BrierLM, the "
       "head's loss, token reconstruction",
       {"tokenizer", "tokens", "autoencoder", "latents", "model"},
       {{"--windows", "Held-out windows to score", WholeNumber(1, kCountMax), "128"},
        {"--samples", "Draws at each scored place", WholeNumber(2, 1024), "8"},
        {"--seed", "Seed of the draws", WholeNumber(0, kSeedMax), "1"},
        {"--protocol",
         "pairwise: all draws, Brier-n clipped at 0; two-samples: as in "
         "the paper",
         OneWordOf({"pairwise", "two-samples"}), "pairwise", "{pairwise,two-samples}"},
        {"--noise-std", "Standard deviation of the noise added to latents for token reconstruction",
         RealNumber(0, kNoiseMax), "0.3"},
        DeviceOption()}});
}

void AddCacheVerifyLatents(CLI::App* cache, CommandLine* line) {
  AddModelCommand(
      *cache, line,
      {"verify-latents",
       "Encode a random part of a job's latents again and compare with what is stored",
       {"tokenizer", "tokens", "autoencoder", "latents"},
       {{"--batches", "Batches of 1024 chunks to encode", WholeNumber(1, kCountMax), "16"},
        {"--seed", "Seed of the choice of batches", WholeNumber(0, kSeedMax), "1"},
        DeviceOption()},
       {},
       /*is_reproducible=*/true});
}

void AddGenerate(CLI::App& app, CommandLine* line) {
  AddModelCommand(
      app, line,
      {"generate",
       "Continue a prompt with a trained model",
       {"tokenizer", "autoencoder", "model"},
       {{"--prompt", "The text to continue; none: the start of a document", {}, "", "TEXT"},
        {"--prompt-file", "A file whose bytes are the prompt", {}, "", "FILE"},
        {"--temperature", "In (0, 1]; lower is less random",
         RealNumber(0, kTemperatureMax, /*above=*/true), "0.5"},
        {"--algorithm",
         "batch: a choice among --draws draws, at 1/n; exact: at any "
         "temperature, with up to --max-draws",
         OneWordOf({"batch", "exact"}), "batch", "{batch,exact}"},
        {"--draws", "Draws for each chunk, with the batch algorithm", WholeNumber(1, kCountMax),
         "200"},
        {"--max-draws",
         "Draws for each chunk, with the exact algorithm, before the batch rule decides",
         WholeNumber(1, kCountMax), "4096"},
        {"--tokens", "The most tokens to generate; 256 when --chunks is not given",
         WholeNumber(1, kCountMax)},
        {"--chunks", "The most chunks to generate, in place of --tokens",
         WholeNumber(1, kCountMax)},
        {"--texts", "Number of continuations", WholeNumber(1, kCountMax), "1"},
        {"--batch", "Continuations generated at the same time", WholeNumber(1, kCountMax), "16"},
        {"--seed", "Seed of the draws", WholeNumber(0, kSeedMax), "1"},
        DeviceOption()},
       {{"--verbose", "Print the speed on stderr, as on a terminal"}}});
}

}  // namespace halcyon::coordinator
