#include "worker/model_commands.h"

#include <fmt/format.h>

#include <cstdio>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "model/temperature.h"
#include "pipeline/utf8.h"
#include "worker/generator.h"
#include "worker/model_report.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;

void Print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

struct Networks {
  std::shared_ptr<const pipeline::Tokenizer> tokenizer;
  std::unique_ptr<model::Autoencoder> autoencoder;
  OpenedModel opened;
};

absl::StatusOr<Networks> OpenNetworks(const ArtifactPaths& paths) {
  Networks networks;
  ASSIGN_OR_RETURN(networks.tokenizer, OpenTokenizer(paths));
  ASSIGN_OR_RETURN(const std::string autoencoder_dir, PathOf(paths, "autoencoder"));
  ASSIGN_OR_RETURN(networks.autoencoder, OpenAutoencoder(*Env::Posix(), autoencoder_dir));
  ASSIGN_OR_RETURN(const std::string model_dir, PathOf(paths, "model"));
  ASSIGN_OR_RETURN(networks.opened, OpenModel(*Env::Posix(), model_dir));
  const jobs::AutoencoderSpec& spec = networks.autoencoder->spec();
  if (spec.chunk_size != networks.opened.chunk_size ||
      spec.latent_size != networks.opened.latent_size ||
      networks.autoencoder->vocab_size() != networks.opened.vocab_size ||
      networks.tokenizer->vocab_size() != networks.opened.vocab_size) {
    return InvalidArgument(model_dir + ": was trained with another autoencoder or tokenizer than " +
                           autoencoder_dir);
  }
  return networks;
}

}  // namespace

absl::Status RunGenerate(const GenerateCommand& command) {
  RETURN_IF_ERROR(model::InverseTemperature(command.temperature).status());
  ASSIGN_OR_RETURN(const Networks networks, OpenNetworks(command.paths));
  const pipeline::Tokenizer& tokenizer = *networks.tokenizer;
  const pipeline::PackingRule rule{static_cast<uint32_t>(networks.opened.chunk_size),
                                   tokenizer.end_of_text(), tokenizer.padding()};
  Generator generator(networks.opened.calm.get(), networks.autoencoder.get(), rule);
  std::vector<uint32_t> prompt;
  const std::string prompt_text = pipeline::ReplaceInvalidUtf8(command.prompt);
  pipeline::Encoder::Create(networks.tokenizer)->Encode(prompt_text, &prompt);
  for (int64_t text = 0; text < command.texts; ++text) {
    GenerationOptions options;
    options.chunks = command.chunks;
    options.temperature = command.temperature;
    options.draws = command.draws;
    options.seed = command.seed;
    options.text = static_cast<uint64_t>(text);
    if (!command.json) Print(prompt_text);
    const int64_t start_ms = Clock::Real()->MonotonicMs();
    ASSIGN_OR_RETURN(const auto ids,
                     generator.Continue(prompt, options, [&](std::span<const uint32_t> chunk) {
                       const auto bytes = tokenizer.Decode(chunk);
                       if (!command.json && bytes.ok()) Print(*bytes);
                     }));
    const double seconds = static_cast<double>(Clock::Real()->MonotonicMs() - start_ms) / 1000;
    if (!command.json) {
      Print("\n");
      continue;
    }
    ASSIGN_OR_RETURN(const std::string bytes, tokenizer.Decode(ids));
    Print(json{{"prompt", prompt_text},
               {"text", pipeline::ReplaceInvalidUtf8(bytes)},
               {"tokens", ids.size()},
               {"seconds", seconds}}
              .dump() +
          "\n");
  }
  return absl::OkStatus();
}

absl::Status RunEval(const EvalCommand& command) {
  ReportOptions options;
  options.eval.final_windows = command.windows;
  options.eval.samples = command.samples;
  options.eval.continuations = 0;
  options.seed = command.seed;
  ASSIGN_OR_RETURN(const json report,
                   MakeReport(*Env::Posix(), command.paths, options, [](double) {}));
  if (command.json) {
    Print(report.dump() + "\n");
    return absl::OkStatus();
  }
  Print(fmt::format(
      "BrierLM {:.3f} (95 % interval {:.3f} to {:.3f}; {} windows of {} tokens, {} documents)\n"
      "held-out loss {:.4f}\n"
      "token reconstruction {:.3f} % of {} held-out tokens\n",
      report["brier_lm"].get<double>(), report["brier_low"].get<double>(),
      report["brier_high"].get<double>(), report["windows"].get<uint64_t>(),
      report["token_context"].get<uint64_t>(), report["documents"].get<uint64_t>(),
      report["heldout_loss"].get<double>(), 100 * report["reconstruction"].get<double>(),
      report["reconstruction_tokens"].get<uint64_t>()));
  for (int n = 0; n < 4; ++n) {
    Print(fmt::format("{}-grams: Brier {:.4f}, accuracy {:.4f}, collision {:.4f}\n", n + 1,
                      report["brier"][n].get<double>(), report["accuracy"][n].get<double>(),
                      report["collision"][n].get<double>()));
  }
  return absl::OkStatus();
}

}  // namespace halcyon::worker
