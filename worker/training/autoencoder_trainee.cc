#include "worker/training/autoencoder_trainee.h"

#include <ATen/ATen.h>

#include "model/noise.h"
#include "worker/scoring/reconstruction.h"

namespace halcyon::worker {
namespace {

// Held-out chunks looked at by an evaluation while training.
constexpr uint64_t kQuickChunks = 4096;

}  // namespace

AutoencoderTrainee::AutoencoderTrainee(const jobs::JobSpec& spec, int64_t vocab_size,
                                       const pipeline::Packing* packing)
    : spec_(spec), packing_(packing), autoencoder_(spec.autoencoder, vocab_size) {}

absl::StatusOr<BatchTensors> AutoencoderTrainee::Load(const MicroBatch& batch) {
  const int64_t chunk_size = spec_.autoencoder.chunk_size;
  const at::Tensor tokens =
      at::empty({static_cast<int64_t>(batch.items.size()), chunk_size}, at::kLong);
  std::vector<uint32_t> ids(chunk_size);
  int64_t* out = tokens.data_ptr<int64_t>();
  for (const uint64_t chunk : batch.items) {
    RETURN_IF_ERROR(packing_->Tokens(pipeline::Split::kTrain, chunk, ids));
    out = std::copy(ids.begin(), ids.end(), out);
  }
  return BatchTensors{tokens, {}};
}

absl::StatusOr<Figures> AutoencoderTrainee::ForwardBackward(const MicroBatch& batch,
                                                            const BatchTensors& tensors) {
  const jobs::AutoencoderSpec& spec = spec_.autoencoder;
  const auto rows = [&](NoiseStream stream) {
    return model::NoiseRows{spec_.seed, stream, batch.step, batch.slots};
  };
  const c10::Device device = tensors.tokens.device();
  const model::Autoencoder::Noise noise{
      rows(NoiseStream::kTokenDropout).Uniform({spec.chunk_size}, device),
      rows(NoiseStream::kPosterior).Normal({spec.latent_size}, device),
      rows(NoiseStream::kLatentDropout).Uniform({spec.latent_size}, device)};
  const auto loss =
      autoencoder_.TrainingLoss(tensors.tokens, noise, tensors.weights, batch.divisor);
  loss.total.backward();
  return Figures{{"loss", loss.total.detach()},
                 {"cross_entropy", loss.cross_entropy},
                 {"kl", loss.kl},
                 {"reconstruction", loss.correct}};
}

absl::StatusOr<nlohmann::json> AutoencoderTrainee::Evaluate(cluster::Collectives& collectives,
                                                            bool final) {
  // The same on every rank.
  if (packing_->Chunks(pipeline::Split::kHeldout) == 0) return nlohmann::json::object();
  const ReconstructionOptions options{.chunks_max = final ? kReconstructedChunksMax : kQuickChunks,
                                      .seed = spec_.seed,
                                      .with_posterior = false};
  ASSIGN_OR_RETURN(const Reconstruction heldout,
                   MeasureReconstruction(autoencoder_, *packing_, options, collectives));
  return nlohmann::json{{"heldout_reconstruction", heldout.all.mean},
                        {"heldout_reconstruction_noisy", heldout.all.noisy},
                        {"heldout_tokens", heldout.all.tokens},
                        {"active_dimensions", heldout.ActiveDimensions()}};
}

std::map<std::string, std::string> AutoencoderTrainee::Metadata() const {
  return {{"format", "halcyon-1"},
          {"kind", "autoencoder"},
          {"vocab_size", std::to_string(autoencoder_.vocab_size())},
          {"chunk_size", std::to_string(spec_.autoencoder.chunk_size)},
          {"latent_size", std::to_string(spec_.autoencoder.latent_size)},
          {"end_of_text", std::to_string(packing_->rule().end_of_text)},
          {"padding", std::to_string(packing_->rule().padding)}};
}

}  // namespace halcyon::worker
