#include "worker/inputs/artifacts.h"

#include <fmt/format.h>

#include <algorithm>

#include "worker/inputs/network_file.h"

namespace halcyon::worker {
namespace {

// Held-out text shorter than a window is still judged; with fewer chunks there is nothing to
// predict.
constexpr uint64_t kHeldoutChunksMin = 2;

absl::StatusOr<std::unique_ptr<storage::CacheReader>> OpenGeneration(const ArtifactPaths& paths,
                                                                     const std::string& stage) {
  ASSIGN_OR_RETURN(const std::string dir, PathOf(paths, stage));
  return storage::CacheReader::Open(JoinPath(dir, "generation"), /*dataset=*/"");
}

}  // namespace

absl::StatusOr<std::string> PathOf(const ArtifactPaths& paths, const std::string& stage) {
  const auto found = paths.find(stage);
  if (found == paths.end()) return Internal("no artifact of stage " + stage + " was given");
  return found->second;
}

absl::StatusOr<std::shared_ptr<const pipeline::Tokenizer>> OpenTokenizer(
    const ArtifactPaths& paths) {
  ASSIGN_OR_RETURN(const std::string dir, PathOf(paths, "tokenizer"));
  return pipeline::Tokenizer::Load(JoinPath(dir, "tokenizer.json"));
}

absl::StatusOr<PackedTokens> OpenPackedTokens(const ArtifactPaths& paths,
                                              const pipeline::Tokenizer& tokenizer,
                                              const jobs::AutoencoderSpec& autoencoder,
                                              TextPart part) {
  PackedTokens tokens;
  ASSIGN_OR_RETURN(auto cache, OpenGeneration(paths, "tokens"));
  tokens.reader = std::make_unique<storage::TokenReader>(std::move(cache));
  const pipeline::PackingRule rule{static_cast<uint32_t>(autoencoder.chunk_size),
                                   tokenizer.end_of_text(), tokenizer.padding()};
  std::vector<bool> shards;
  if (part != TextPart::kAll) {
    shards = pipeline::ChooseShards(tokens.reader->shards(), autoencoder.data_fraction);
  }
  if (part == TextPart::kOthers) {
    shards.flip();
    if (std::find(shards.begin(), shards.end(), true) == shards.end()) {
      return InvalidArgument(fmt::format(
          "model.skip_autoencoder_data: the autoencoder takes {} of {} shards, which leaves none; "
          "lower autoencoder.data_fraction or data.shard_bytes",
          shards.size(), shards.size()));
    }
  }
  ASSIGN_OR_RETURN(tokens.packing, pipeline::Packing::Build(tokens.reader.get(), rule, shards));
  return tokens;
}

absl::StatusOr<std::unique_ptr<storage::LatentReader>> OpenLatents(const ArtifactPaths& paths,
                                                                   int64_t latent_size) {
  ASSIGN_OR_RETURN(auto cache, OpenGeneration(paths, "latents"));
  return std::make_unique<storage::LatentReader>(std::move(cache),
                                                 static_cast<uint32_t>(latent_size));
}

absl::StatusOr<Windows> OpenWindows(const pipeline::Packing& packing,
                                    storage::LatentReader* latents, int64_t window_chunks) {
  Windows windows;
  windows.train = std::make_unique<pipeline::WindowLoader>(&packing, latents,
                                                           static_cast<uint32_t>(window_chunks));
  if (windows.train->Windows(pipeline::Split::kTrain) == 0) {
    return InvalidArgument("the training text has " +
                           std::to_string(packing.Chunks(pipeline::Split::kTrain)) +
                           " chunks, less than one window of " + std::to_string(window_chunks) +
                           "; lower model.window_chunks or give more text");
  }
  const uint64_t heldout_chunks =
      std::clamp<uint64_t>(packing.Chunks(pipeline::Split::kHeldout), kHeldoutChunksMin,
                           static_cast<uint64_t>(window_chunks));
  windows.heldout = std::make_unique<pipeline::WindowLoader>(&packing, latents,
                                                             static_cast<uint32_t>(heldout_chunks));
  return windows;
}

absl::StatusOr<std::unique_ptr<model::Autoencoder>> OpenAutoencoder(Env& env,
                                                                    const std::string& dir) {
  ASSIGN_OR_RETURN(const NetworkDescription description, DescribeNetwork(env, dir));
  ASSIGN_OR_RETURN(const int64_t vocab_size, MetadataNumber(description, "vocab_size"));
  auto autoencoder = std::make_unique<model::Autoencoder>(description.spec.autoencoder, vocab_size);
  RETURN_IF_ERROR(ReadNetwork(env, dir, autoencoder->units()));
  return autoencoder;
}

absl::StatusOr<OpenedModel> OpenModel(Env& env, const std::string& dir) {
  OpenedModel opened;
  ASSIGN_OR_RETURN(const NetworkDescription description, DescribeNetwork(env, dir));
  ASSIGN_OR_RETURN(opened.chunk_size, MetadataNumber(description, "chunk_size"));
  ASSIGN_OR_RETURN(opened.vocab_size, MetadataNumber(description, "vocab_size"));
  opened.spec = description.spec;
  if (opened.spec.model.head == jobs::HeadKind::kSoftmax) {
    opened.baseline = std::make_unique<model::BaselineModel>(opened.spec.model, opened.vocab_size);
    RETURN_IF_ERROR(ReadNetwork(env, dir, opened.baseline->units()));
    return opened;
  }
  ASSIGN_OR_RETURN(opened.latent_size, MetadataNumber(description, "latent_size"));
  // A finished model is judged against the exact target, whatever it was trained on.
  jobs::ModelSpec judged = opened.spec.model;
  judged.target = jobs::EnergyTarget::kExact;
  opened.calm = std::make_unique<model::CalmModel>(judged, opened.chunk_size, opened.latent_size,
                                                   opened.vocab_size);
  RETURN_IF_ERROR(ReadNetwork(env, dir, opened.calm->units()));
  return opened;
}

absl::Status CheckBelongTogether(const OpenedModel& model, const std::string& model_dir,
                                 const model::Autoencoder& autoencoder,
                                 const std::string& autoencoder_dir) {
  if (autoencoder.spec().chunk_size == model.chunk_size &&
      autoencoder.spec().latent_size == model.latent_size &&
      autoencoder.vocab_size() == model.vocab_size) {
    return absl::OkStatus();
  }
  return InvalidArgument(model_dir + ": was trained with another autoencoder than " +
                         autoencoder_dir);
}

}  // namespace halcyon::worker
