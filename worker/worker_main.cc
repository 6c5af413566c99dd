// halcyon-worker, which `halcyon` starts: agents, training ranks, and commands that need the
// networks. Started by the coordinator or by `halcyon`, not by hand.
#include <CLI/CLI.hpp>
#include <exception>
#include <filesystem>
#include <functional>
#include <new>
#include <sstream>
#include <string_view>
#include <thread>

#include "base/exit_code.h"
#include "base/file_descriptor.h"
#include "base/logging.h"
#include "base/open_files.h"
#include "base/standard_output.h"
#include "base/terminal_text.h"
#include "cluster/process.h"
#include "worker/agent.h"
#include "worker/commands/devices_command.h"
#include "worker/commands/eval_command.h"
#include "worker/commands/generate_command.h"
#include "worker/commands/latents_rates_command.h"
#include "worker/commands/reference_commands.h"
#include "worker/commands/verify_latents_command.h"
#include "worker/runtime.h"
#include "worker/training/training_rank.h"

namespace halcyon::worker {
namespace {

void AddWorkerOptions(CLI::App* app, WorkerOptions* options, const char* name_flag,
                      const char* log_flag) {
  app->add_option("--contact-file", options->contact_file, "names the present coordinator")
      ->required();
  app->add_option("--job", options->job, "job id")->required();
  app->add_option(name_flag, options->name, "name among the job's workers")->required();
  app->add_option("--worker-incarnation", options->worker_incarnation,
                  "incarnation of this worker");
  app->add_option("--incarnation", options->incarnation, "incarnation of the coordinator")
      ->required();
  app->add_option("--orphan-grace-s", options->orphan_grace_s,
                  "how long it goes on without a coordinator");
  app->add_option("--alive-file", options->alive_file, "the job's alive file")->required();
  app->add_option(log_flag, options->log_path, "log file")->required();
}

void AddArtifact(CLI::App* app, ArtifactInputs* inputs, const std::string& stage,
                 bool required = true) {
  app->add_option_function<std::string>(
         "--" + stage, [inputs, stage](const std::string& dir) { inputs->paths[stage] = dir; },
         "folder of the " + stage + " artifact")
      ->required(required);
}

void AddGenerateOptions(CLI::App* app, GenerateCommand* command) {
  AddArtifact(app, &command->inputs, "tokenizer");
  AddArtifact(app, &command->inputs, "autoencoder", /*required=*/false);
  AddArtifact(app, &command->inputs, "model");
  app->add_option("--prompt", command->prompt);
  app->add_option("--prompt-file", command->prompt_file);
  app->add_option("--temperature", command->temperature);
  app->add_option("--algorithm", command->algorithm);
  app->add_option("--draws", command->draws);
  app->add_option("--max-draws", command->max_draws);
  app->add_option("--chunks", command->chunks);
  app->add_option("--tokens", command->tokens);
  app->add_option("--texts", command->texts);
  app->add_option("--batch", command->batch);
  app->add_option("--seed", command->seed);
  app->add_option("--device", command->device);
  app->add_flag("--verbose", command->verbose);
  app->add_flag("--json", command->json);
}

// Agents and ranks: see IgnoreStopSignals. The other commands are run by a person.
bool BelongsToJob(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  return command == "agent" || command == "rank";
}

// When the current folder was removed MKL does not find its own files. Relative names mean
// nothing there, so nothing is lost by leaving it.
void LeaveRemovedFolder() {
  std::error_code error;
  const bool removed = std::filesystem::current_path(error).empty();
  if (removed) std::filesystem::current_path("/", error);
}

absl::Status Main(int argc, char** argv) {
  CLI::App app("halcyon-worker: started by halcyon");
  app.require_subcommand(1);
  uint32_t threads = 1;
  WorkerOptions agent, rank;
  GenerateCommand generate;
  EvalCommand eval;
  VerifyLatentsCommand verify;
  auto* agent_app = app.add_subcommand("agent", "lease data tasks");
  AddWorkerOptions(agent_app, &agent, "--name", "--log");
  auto* rank_app = app.add_subcommand("rank", "train as one rank of a gang");
  AddWorkerOptions(rank_app, &rank, "--name-prefix", "--log-prefix");
  for (auto* sub : {agent_app, rank_app}) {
    sub->add_option("--threads", threads, "threads for computing");
  }
  auto* generate_app = app.add_subcommand("generate", "continue a prompt");
  AddGenerateOptions(generate_app, &generate);
  auto* eval_app = app.add_subcommand("eval", "score a model on held-out text");
  for (const char* stage : {"tokenizer", "tokens"}) AddArtifact(eval_app, &eval.inputs, stage);
  for (const char* stage : {"autoencoder", "latents", "model"}) {
    AddArtifact(eval_app, &eval.inputs, stage, /*required=*/false);
  }
  eval_app->add_option("--windows", eval.windows);
  eval_app->add_option("--samples", eval.samples);
  eval_app->add_option("--seed", eval.seed);
  eval_app->add_option("--device", eval.device);
  eval_app->add_option("--protocol", eval.protocol);
  eval_app->add_option("--noise-std", eval.noise_std);
  eval_app->add_flag("--json", eval.json);
  auto* verify_app = app.add_subcommand("verify-latents", "encode latents again and compare");
  for (const char* stage : {"tokenizer", "tokens"}) AddArtifact(verify_app, &verify.inputs, stage);
  for (const char* stage : {"autoencoder", "latents"}) {
    AddArtifact(verify_app, &verify.inputs, stage, /*required=*/false);  // the command says why
  }
  verify_app->add_option("--batches", verify.batches);
  verify_app->add_option("--seed", verify.seed);
  verify_app->add_option("--device", verify.device);
  verify_app->add_flag("--json", verify.json);
  LatentsRatesCommand rates;
  auto* rates_app = app.add_subcommand("latents-rates", "measure how fast chunks are encoded");
  rates_app->add_option("--spec", rates.spec_path)->required();
  rates_app->add_option("--vocab-size", rates.vocab_size)->required();
  rates_app->add_option("--text-chunks", rates.text_chunks)->required();
  int64_t gpu_ranks = 0;
  auto* devices_app = app.add_subcommand("devices", "list the GPUs");
  devices_app->add_option("--ranks", gpu_ranks, "ranks that need a GPU each");
  std::function<absl::Status()> reference;
  AddReferenceCommands(app, &reference);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream help;
    if (app.exit(error, help, help) != 0) return InvalidArgument(error.what());
    StandardOutput::OfProcess().Print(help.str());
    return absl::OkStatus();
  }
  if (*agent_app) {
    RETURN_IF_ERROR(LogToFile(agent.name, agent.log_path));
    return RunAgent(agent, threads);
  }
  if (*rank_app) return RunTrainingRank(rank, threads);
  LogToStderr("halcyon-worker");
  if (*devices_app) return RunDevices(gpu_ranks);  // before LibTorch is asked anything
  ConfigureRuntime(std::max(1u, std::thread::hardware_concurrency()));
  if (reference) return reference();
  if (*verify_app) return RunVerifyLatents(verify);
  if (*rates_app) return RunLatentsRates(rates);
  return *generate_app ? RunGenerate(generate) : RunEval(eval);
}

}  // namespace
}  // namespace halcyon::worker

namespace halcyon::worker {
namespace {

// What a library throws about a damaged or enormous file is an error like others.
absl::Status MainWithoutExceptions(int argc, char** argv) {
  try {
    return Main(argc, argv);
  } catch (const std::bad_alloc&) {
    return Internal("out of memory");
  } catch (const std::exception& error) {
    return Internal(error.what());
  }
}

}  // namespace
}  // namespace halcyon::worker

int main(int argc, char** argv) {
  if (halcyon::worker::BelongsToJob(argc, argv)) halcyon::cluster::IgnoreStopSignals();
  halcyon::worker::LeaveRemovedFolder();
  absl::Status status = halcyon::OpenMissingStandardDescriptors();  // before any file is opened
  halcyon::RaiseOpenFilesLimit();
  if (status.ok()) status = halcyon::worker::MainWithoutExceptions(argc, argv);
  // When the output failed, that is the error to report.
  halcyon::StandardOutput& output = halcyon::StandardOutput::OfProcess();
  if (status.ok() || status == output.status()) status = output.Finish();
  if (!status.ok()) {
    halcyon::PrintToStandardError("error: " + halcyon::MessageOf(status) + "\n");
  }
  return static_cast<int>(halcyon::ExitCodeOf(status));
}
