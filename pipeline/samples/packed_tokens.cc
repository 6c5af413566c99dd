#include "pipeline/samples/packed_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "pipeline/samples/source_windows.h"

namespace halcyon::pipeline {

TextShare TextShareOf(jobs::StageKind kind, const jobs::JobSpec& spec) {
  if (kind == jobs::StageKind::kAutoencoder) return TextShare::kAutoencoders;
  return spec.model.skip_autoencoder_data ? TextShare::kOthers : TextShare::kAll;
}

absl::StatusOr<PackedTokens> OpenPackedTokens(storage::ArtifactReader& artifact,
                                              const Tokenizer& tokenizer,
                                              const jobs::AutoencoderSpec& autoencoder,
                                              TextShare share) {
  PackedTokens tokens;
  ASSIGN_OR_RETURN(auto cache, artifact.OpenCache());
  uint32_t heldout_shards = 0;
  if (artifact.artifact()) {
    tokens.files = FileShards::FromFacts(artifact.artifact()->facts);
    heldout_shards = HeldoutShards(artifact.artifact()->facts);
  }
  tokens.reader = std::make_unique<storage::TokenReader>(std::move(cache));
  const PackingRule rule{static_cast<uint32_t>(autoencoder.chunk_size), tokenizer.end_of_text(),
                         tokenizer.padding()};
  std::vector<bool> shards;
  if (share != TextShare::kAll) {
    shards = ChooseShards(tokens.reader->shards(), autoencoder.data_fraction, heldout_shards);
  }
  if (share == TextShare::kOthers) {
    shards.flip();
    if (std::find(shards.begin(), shards.end(), true) == shards.end()) {
      return InvalidArgument(fmt::format(
          "model.skip_autoencoder_data: the autoencoder takes {} of {} shards, which leaves none; "
          "lower autoencoder.data_fraction or data.shard_bytes",
          shards.size(), shards.size()));
    }
  }
  ASSIGN_OR_RETURN(tokens.packing, Packing::Build(tokens.reader.get(), rule, shards));
  return tokens;
}

absl::StatusOr<std::vector<MixturePart>> TrainingItems(jobs::StageKind kind,
                                                       const jobs::JobSpec& spec,
                                                       const PackedTokens& tokens) {
  if (kind == jobs::StageKind::kAutoencoder) {
    return std::vector<MixturePart>{{.items = tokens.packing->Chunks(Split::kTrain)}};
  }
  return WindowsOfSources(spec.data, tokens.files, *tokens.packing,
                          static_cast<uint32_t>(spec.model.window_chunks));
}

}  // namespace halcyon::pipeline
