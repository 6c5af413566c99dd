#include "worker/inputs/artifacts.h"

#include <algorithm>

#include "worker/inputs/network_file.h"

namespace halcyon::worker {
namespace {

// Held-out text shorter than a window is still evaluated; with fewer chunks there is nothing to
// predict.
constexpr uint64_t kHeldoutChunksMin = 2;

std::string DigestOf(const ArtifactInputs& inputs, const std::string& stage) {
  const auto found = inputs.digests.find(stage);
  return found == inputs.digests.end() ? "" : found->second;
}

}  // namespace

absl::StatusOr<std::string> PathOf(const ArtifactInputs& inputs, const std::string& stage) {
  const auto found = inputs.paths.find(stage);
  if (found == inputs.paths.end()) return Internal("no artifact of stage " + stage + " was given");
  return found->second;
}

absl::StatusOr<storage::ArtifactReader> OpenArtifact(const ArtifactInputs& inputs,
                                                     const std::string& stage) {
  ASSIGN_OR_RETURN(const std::string dir, PathOf(inputs, stage));
  ASSIGN_OR_RETURN(auto artifact,
                   storage::ArtifactReader::Open(*Env::Posix(), dir, DigestOf(inputs, stage)));
  const auto copy = inputs.copies.find(stage);
  if (copy != inputs.copies.end()) artifact.ReadFrom(copy->second);
  return artifact;
}

absl::Status ForCoordinator(const absl::Status& status) {
  return absl::IsDataLoss(status) ? FailedPrecondition(MessageOf(status)) : status;
}

absl::StatusOr<std::shared_ptr<const pipeline::Tokenizer>> OpenTokenizer(
    const ArtifactInputs& inputs) {
  ASSIGN_OR_RETURN(auto artifact, OpenArtifact(inputs, "tokenizer"));
  ASSIGN_OR_RETURN(const std::string path, artifact.Verified("tokenizer.json"));
  return pipeline::Tokenizer::Load(path);
}

absl::StatusOr<PackedTokens> OpenPackedTokens(const ArtifactInputs& inputs,
                                              const pipeline::Tokenizer& tokenizer,
                                              const jobs::AutoencoderSpec& autoencoder,
                                              TextShare share) {
  ASSIGN_OR_RETURN(auto artifact, OpenArtifact(inputs, "tokens"));
  return pipeline::OpenPackedTokens(artifact, tokenizer, autoencoder, share);
}

absl::StatusOr<std::unique_ptr<storage::LatentReader>> OpenLatents(const ArtifactInputs& inputs,
                                                                   int64_t latent_size) {
  ASSIGN_OR_RETURN(auto artifact, OpenArtifact(inputs, "latents"));
  ASSIGN_OR_RETURN(auto cache, artifact.OpenCache());
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
                                                                    const std::string& dir,
                                                                    const std::string& digest,
                                                                    c10::Device device) {
  ASSIGN_OR_RETURN(const NetworkDescription description, DescribeNetwork(env, dir, digest));
  ASSIGN_OR_RETURN(const int64_t vocab_size, MetadataNumber(description, "vocab_size"));
  auto autoencoder = std::make_unique<model::Autoencoder>(description.spec.autoencoder, vocab_size);
  RETURN_IF_ERROR(ReadNetwork(env, dir, autoencoder->units(), device));
  return autoencoder;
}

absl::StatusOr<std::unique_ptr<model::Autoencoder>> OpenAutoencoder(Env& env,
                                                                    const ArtifactInputs& inputs,
                                                                    c10::Device device) {
  ASSIGN_OR_RETURN(const std::string dir, PathOf(inputs, "autoencoder"));
  return OpenAutoencoder(env, dir, DigestOf(inputs, "autoencoder"), device);
}

absl::StatusOr<OpenedModel> OpenModel(Env& env, const ArtifactInputs& inputs, c10::Device device) {
  ASSIGN_OR_RETURN(const std::string dir, PathOf(inputs, "model"));
  return OpenModel(env, dir, DigestOf(inputs, "model"), device);
}

absl::StatusOr<OpenedModel> OpenModel(Env& env, const std::string& dir, const std::string& digest,
                                      c10::Device device) {
  OpenedModel opened;
  ASSIGN_OR_RETURN(const NetworkDescription description, DescribeNetwork(env, dir, digest));
  ASSIGN_OR_RETURN(opened.chunk_size, MetadataNumber(description, "chunk_size"));
  ASSIGN_OR_RETURN(opened.vocab_size, MetadataNumber(description, "vocab_size"));
  opened.spec = description.spec;
  if (opened.spec.model.head == jobs::HeadKind::kSoftmax) {
    opened.baseline = std::make_unique<model::BaselineModel>(opened.spec.model, opened.vocab_size);
    RETURN_IF_ERROR(ReadNetwork(env, dir, opened.baseline->units(), device));
    return opened;
  }
  ASSIGN_OR_RETURN(opened.latent_size, MetadataNumber(description, "latent_size"));
  // A finished model is evaluated with the exact target, whatever it was trained with.
  jobs::ModelSpec judged = opened.spec.model;
  judged.target = jobs::EnergyTarget::kExact;
  opened.calm = std::make_unique<model::CalmModel>(judged, opened.chunk_size, opened.latent_size,
                                                   opened.vocab_size);
  RETURN_IF_ERROR(ReadNetwork(env, dir, opened.calm->units(), device));
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
