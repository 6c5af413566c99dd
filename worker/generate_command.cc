#include "worker/generate_command.h"

#include <cstdio>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "model/temperature.h"
#include "pipeline/utf8.h"
#include "worker/generator.h"

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

}  // namespace halcyon::worker
