#include "worker/commands/generate_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/standard_output.h"
#include "base/terminal_text.h"
#include "pipeline/text_stream.h"
#include "pipeline/utf8.h"
#include "worker/compute_device.h"
#include "worker/generation/generator.h"
#include "worker/generation/make_sampler.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;

// An error ends the command at once: generating text that cannot be written costs minutes.
absl::Status Print(std::string_view text) {
  StandardOutput::OfProcess().Print(text);
  return StandardOutput::OfProcess().status();
}

struct Networks {
  std::shared_ptr<const pipeline::Tokenizer> tokenizer;
  std::unique_ptr<model::Autoencoder> autoencoder;  // null for a baseline
  OpenedModel opened;
};

absl::StatusOr<Networks> OpenNetworks(const ArtifactInputs& inputs, c10::Device device) {
  Networks networks;
  ASSIGN_OR_RETURN(networks.tokenizer, OpenTokenizer(inputs));
  ASSIGN_OR_RETURN(const std::string model_dir, PathOf(inputs, "model"));
  ASSIGN_OR_RETURN(networks.opened, OpenModel(*Env::Posix(), inputs, device));
  const OpenedModel& opened = networks.opened;
  if (networks.tokenizer->vocab_size() != opened.vocab_size) {
    return InvalidArgument(fmt::format("{}: was trained with another tokenizer, of {} tokens",
                                       model_dir, opened.vocab_size));
  }
  if (opened.baseline != nullptr) return networks;
  if (!inputs.contains("autoencoder")) {
    return InvalidArgument(model_dir + ": needs its autoencoder; give --autoencoder");
  }
  ASSIGN_OR_RETURN(const std::string autoencoder_dir, PathOf(inputs, "autoencoder"));
  ASSIGN_OR_RETURN(networks.autoencoder, OpenAutoencoder(*Env::Posix(), inputs, device));
  RETURN_IF_ERROR(CheckBelongTogether(opened, model_dir, *networks.autoencoder, autoencoder_dir));
  networks.autoencoder->EncodeIn(opened.spec.data.encoding_precision);
  return networks;
}

absl::Status CheckCommand(const GenerateCommand& command) {
  if (!command.prompt.empty() && !command.prompt_file.empty()) {
    return InvalidArgument("--prompt and --prompt-file: give one of them");
  }
  if (command.chunks != 0 && command.tokens != 0) {
    return InvalidArgument("--chunks and --tokens: give one of them");
  }
  if (command.algorithm != "batch" && command.algorithm != "exact") {
    return InvalidArgument("--algorithm " + command.algorithm + ": choose batch or exact");
  }
  for (const auto& [name, value, least] : {std::tuple{"--chunks", command.chunks, 0},
                                           {"--tokens", command.tokens, 0},
                                           {"--texts", command.texts, 1},
                                           {"--batch", command.batch, 1}}) {
    if (value < least) {
      return InvalidArgument(fmt::format("{} {}: give at least 1", name, value));
    }
  }
  return absl::OkStatus();
}

GenerationOptions OptionsOf(const GenerateCommand& command, int64_t chunk_size) {
  GenerationOptions options;
  options.tokens = command.tokens != 0 ? command.tokens : command.chunks * chunk_size;
  if (options.tokens == 0) options.tokens = GenerateCommand::kDefaultTokens;
  options.rule.temperature = command.temperature;
  options.rule.algorithm = command.algorithm == "exact" ? model::TemperatureAlgorithm::kExact
                                                        : model::TemperatureAlgorithm::kBatch;
  options.rule.draws = command.draws;
  options.rule.draws_max = command.max_draws;
  options.seed = command.seed;
  return options;
}

// Seconds from the start of a batch to each text's first and last tokens.
struct Timing {
  double first = 0, last = 0;
};

json ToJson(const GeneratedText& text, const Timing& timing) {
  const auto tokens = static_cast<double>(text.ids.size());
  return {{"tokens", text.ids.size()},
          {"seconds", timing.last},
          {"tokens_per_second", timing.last > 0 ? tokens / timing.last : 0.0},
          {"seconds_to_first_token", timing.first},
          {"steps", text.steps},
          {"draws", text.draws},
          {"steps_at_max_draws", text.steps_ran_out},
          {"prefix_missed", text.prefix_missed},
          {"ended", text.end == TextEnd::kEndOfText ? "end_of_text" : "length"}};
}

// The speed of a batch, for a person.
std::string Summary(const std::vector<GeneratedText>& texts, const std::vector<Timing>& timings) {
  double tokens = 0, seconds = 0;
  int64_t ran_out = 0;
  std::string notes;
  for (size_t i = 0; i < texts.size(); ++i) {
    tokens += static_cast<double>(texts[i].ids.size());
    seconds = std::max(seconds, timings[i].last);
    ran_out += texts[i].steps_ran_out;
    if (texts[i].prefix_missed && notes.empty()) {
      notes =
          "; no draw began with the prompt's last tokens, so the first draw's were replaced by "
          "them";
    }
  }
  if (ran_out > 0) notes += fmt::format("; {} steps were decided at --max-draws", ran_out);
  return fmt::format("{:.0f} tokens in {:.2f} s, {:.1f} tokens/s, first after {:.3f} s{}\n", tokens,
                     seconds, seconds > 0 ? tokens / seconds : 0.0, timings.front().first, notes);
}

absl::Status GenerateBatch(const GenerateCommand& command, const pipeline::Tokenizer& tokenizer,
                           const std::string& prompt, std::span<const uint32_t> prompt_ids,
                           const GenerationOptions& options, int64_t texts_count,
                           Generator* generator) {
  const bool streams = !command.json && command.texts == 1;
  const std::vector<std::vector<uint32_t>> prompts(
      texts_count, std::vector<uint32_t>(prompt_ids.begin(), prompt_ids.end()));
  std::vector<Timing> timings(texts_count);
  if (streams) RETURN_IF_ERROR(Print(prompt));
  pipeline::TextStream stream(&tokenizer, prompt_ids);
  const int64_t start_ms = Clock::Real()->MonotonicMs();
  ASSIGN_OR_RETURN(
      const auto texts,
      generator->Continue(prompts, options, [&](size_t text, std::span<const uint32_t> ids) {
        Timing& timing = timings[text];
        timing.last = static_cast<double>(Clock::Real()->MonotonicMs() - start_ms) / 1000;
        if (timing.first == 0) timing.first = timing.last;
        if (!streams) return;
        const auto bytes = stream.Add(ids);
        if (bytes.ok()) Print(*bytes).IgnoreError();  // kept, and returned below
      }));
  if (streams) {
    ASSIGN_OR_RETURN(const std::string last, stream.Finish());
    RETURN_IF_ERROR(Print(last + "\n"));
  }
  for (int64_t i = 0; i < texts_count && !streams; ++i) {
    ASSIGN_OR_RETURN(const std::string bytes,
                     pipeline::DecodeBehind(tokenizer, prompt_ids, texts[i].ids));
    if (command.json) {
      json object = ToJson(texts[i], timings[i]);
      object["prompt"] = prompt;
      object["text"] = pipeline::ReplaceInvalidUtf8(bytes);
      RETURN_IF_ERROR(Print(object.dump() + "\n"));
    } else {
      RETURN_IF_ERROR(Print(prompt + bytes + "\n"));
    }
  }
  if (command.verbose || (!command.json && isatty(STDERR_FILENO) != 0)) {
    PrintToStandardError(Summary(texts, timings));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunGenerate(const GenerateCommand& command) {
  RETURN_IF_ERROR(CheckCommand(command));
  std::string prompt = command.prompt;
  if (!command.prompt_file.empty()) {
    ASSIGN_OR_RETURN(prompt, Env::Posix()->ReadFile(command.prompt_file));
  }
  prompt = pipeline::ReplaceInvalidUtf8(prompt);
  ASSIGN_OR_RETURN(const ComputeDevice compute, OpenDevice(command.device));
  ASSIGN_OR_RETURN(const Networks networks, OpenNetworks(command.inputs, compute.device));
  const pipeline::Tokenizer& tokenizer = *networks.tokenizer;
  std::vector<uint32_t> ids;
  pipeline::Encoder::Create(networks.tokenizer)->Encode(prompt, &ids);

  const auto sampler = MakeSampler(networks.opened, networks.autoencoder.get());
  Generator generator(sampler.get(), {static_cast<uint32_t>(sampler->step_size()),
                                      tokenizer.end_of_text(), tokenizer.padding()});
  GenerationOptions options = OptionsOf(command, sampler->step_size());
  // Before the prompt is printed, so that a failing command prints no output.
  RETURN_IF_ERROR(sampler->Check(options.rule));
  for (int64_t first = 0; first < command.texts; first += command.batch) {
    options.first_text = static_cast<uint64_t>(first);
    RETURN_IF_ERROR(GenerateBatch(command, tokenizer, prompt, ids, options,
                                  std::min(command.batch, command.texts - first), &generator));
  }
  return absl::OkStatus();
}

}  // namespace halcyon::worker
