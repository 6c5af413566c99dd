// Opens the artifacts of earlier stages.
#ifndef HALCYON_WORKER_INPUTS_ARTIFACTS_H_
#define HALCYON_WORKER_INPUTS_ARTIFACTS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "cluster/messages.h"
#include "model/autoencoder.h"
#include "model/baseline_model.h"
#include "model/calm_model.h"
#include "pipeline/samples/packed_tokens.h"
#include "pipeline/samples/window_loader.h"
#include "pipeline/tokenizer.h"
#include "storage/artifact_reader.h"
#include "storage/copies/host_copy.h"
#include "storage/latent_cache.h"

namespace halcyon::worker {

// Where the artifacts to be read lie, by stage name, and which content digests they must have; a
// stage without a digest is taken as it is. Whatever is opened is compared with its artifact.json
// (storage/artifact_reader.h).
struct ArtifactInputs {
  std::map<std::string, std::string> paths, digests;
  // Of caches, by stage name: what is read in the place of their own files (cache_copies.h).
  std::map<std::string, std::shared_ptr<const storage::HostCopy>> copies = {};

  static ArtifactInputs Of(const cluster::StageAssignment& assignment) {
    return {assignment.input_paths, assignment.input_digests, {}};
  }
  bool contains(const std::string& stage) const { return paths.contains(stage); }
};

// The folder of a stage's artifact; kInternal when the caller was not given it.
absl::StatusOr<std::string> PathOf(const ArtifactInputs& inputs, const std::string& stage);

// The artifact of a stage, to be read from its copy where there is one.
absl::StatusOr<storage::ArtifactReader> OpenArtifact(const ArtifactInputs& inputs,
                                                     const std::string& stage);

// A worker's error as it is sent to the coordinator: kDataLoss means that an input is damaged,
// which another try does not change, and becomes kFailedPrecondition.
absl::Status ForCoordinator(const absl::Status& status);

absl::StatusOr<std::shared_ptr<const pipeline::Tokenizer>> OpenTokenizer(
    const ArtifactInputs& inputs);

using pipeline::PackedTokens;
using pipeline::TextShare;
absl::StatusOr<PackedTokens> OpenPackedTokens(const ArtifactInputs& inputs,
                                              const pipeline::Tokenizer& tokenizer,
                                              const jobs::AutoencoderSpec& autoencoder,
                                              TextShare share = TextShare::kAll);

absl::StatusOr<std::unique_ptr<storage::LatentReader>> OpenLatents(const ArtifactInputs& inputs,
                                                                   int64_t latent_size);

// Training windows, and held-out windows, which are shorter when the held-out text fills no whole
// one.
struct Windows {
  std::unique_ptr<pipeline::WindowLoader> train, heldout;
};
// `latents` may be null. kInvalidArgument: the training text fills no window.
absl::StatusOr<Windows> OpenWindows(const pipeline::Packing& packing,
                                    storage::LatentReader* latents, int64_t window_chunks);

// Networks with their weights on `device`, by what their files say; an autoencoder encodes in
// float32 until it is told otherwise. `digest` as in ArtifactInputs.
absl::StatusOr<std::unique_ptr<model::Autoencoder>> OpenAutoencoder(Env& env,
                                                                    const std::string& dir,
                                                                    const std::string& digest = "",
                                                                    c10::Device device = c10::kCPU);
absl::StatusOr<std::unique_ptr<model::Autoencoder>> OpenAutoencoder(Env& env,
                                                                    const ArtifactInputs& inputs,
                                                                    c10::Device device);
// A language model: one of the two networks, by the head that its file names.
struct OpenedModel {
  std::unique_ptr<model::CalmModel> calm;
  std::unique_ptr<model::BaselineModel> baseline;
  jobs::JobSpec spec;                                       // of the job that made it
  int64_t chunk_size = 0, latent_size = 0, vocab_size = 0;  // chunk_size 1, latent_size 0: baseline
};
absl::StatusOr<OpenedModel> OpenModel(Env& env, const std::string& dir,
                                      const std::string& digest = "",
                                      c10::Device device = c10::kCPU);
absl::StatusOr<OpenedModel> OpenModel(Env& env, const ArtifactInputs& inputs, c10::Device device);

// kInvalidArgument, naming the two folders: a CALM model that was trained with another autoencoder.
absl::Status CheckBelongTogether(const OpenedModel& model, const std::string& model_dir,
                                 const model::Autoencoder& autoencoder,
                                 const std::string& autoencoder_dir);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_INPUTS_ARTIFACTS_H_
