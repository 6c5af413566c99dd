// The config.json of the published CALM checkpoints (and of a Llama-style baseline), and what it
// means in Halcyon's terms. A config.json comes from other software, so everything in it may be
// missing or wrong; what has no counterpart here and would change the numbers is refused.
#ifndef HALCYON_MODEL_REFERENCE_REFERENCE_CONFIG_H_
#define HALCYON_MODEL_REFERENCE_REFERENCE_CONFIG_H_

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/status.h"
#include "jobs/job_spec.h"

namespace halcyon::model {

enum class ReferenceKind { kAutoencoder, kEnergy, kFlow, kDiffusion, kBaseline };
std::string_view NameOf(ReferenceKind kind);  // "autoencoder", "calm-energy", ..., "softmax"

ReferenceKind KindOf(jobs::HeadKind head);

// Tensors of a checkpoint by name.
using TensorShapes = std::map<std::string, std::vector<int64_t>>;

// What the checkpoint is: by `architectures`; where that has no known name, by its tensors.
// `model_type` is not asked: it may be missing, and is "energy" in flow and diffusion models.
absl::StatusOr<ReferenceKind> KindOfReference(const nlohmann::json& config,
                                              const TensorShapes& tensors);

struct ReferenceAutoencoder {
  jobs::AutoencoderSpec spec;
  int64_t vocab_size = 0;
};
struct ReferenceModel {
  jobs::ModelSpec spec;
  int64_t chunk_size = 1, latent_size = 0, vocab_size = 0;  // 1 and 0: the baseline
};

// kInvalidArgument lists every key that is missing, of the wrong type or not supported. Ranges are
// those of the job file: the caller checks the spec as one.
absl::StatusOr<ReferenceAutoencoder> AutoencoderFromConfig(const nlohmann::json& config);
// `kind` is not kAutoencoder. `has_output`: the checkpoint has the baseline's lm_head.weight, which
// decides when the config does not say whether it is tied.
absl::StatusOr<ReferenceModel> ModelFromConfig(ReferenceKind kind, const nlohmann::json& config,
                                               bool has_output);

// A config.json that describes these: the reference's keys, and only those that have a meaning.
nlohmann::json ConfigOf(const ReferenceAutoencoder& autoencoder);
nlohmann::json ConfigOf(const ReferenceModel& model);

// The config of an autoencoder whose tensors are here under `prefix` while its config.json is not:
// sizes by the shapes, everything else the reference's defaults. kInvalidArgument names the tensor
// that would tell.
absl::StatusOr<nlohmann::json> InferAutoencoderConfig(const TensorShapes& tensors,
                                                      const std::string& prefix);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_REFERENCE_REFERENCE_CONFIG_H_
