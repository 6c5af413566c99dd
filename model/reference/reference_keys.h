// Names of tensors in the published CALM checkpoints and in a Llama-style baseline, for Halcyon's
// parameters. Every parameter has the same shape and the same meaning on both sides.
#ifndef HALCYON_MODEL_REFERENCE_REFERENCE_KEYS_H_
#define HALCYON_MODEL_REFERENCE_REFERENCE_KEYS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "model/reference/reference_config.h"

namespace halcyon::model {

struct ReferenceTensor {
  std::string parameter;  // here
  std::vector<int64_t> shape;
  // There: one tensor may stand under several names, at least one of which is in a checkpoint.
  std::vector<std::string> names;
};

// In a language model's checkpoint, the autoencoder's names follow this.
inline constexpr char kAutoencoderPrefix[] = "ae_model.";

// The parameters of the network, with `prefix` before each name there. REQUIRES: the reference has
// such a network: its token_dropout_rule is kZeroId, its input kDiscrete.
std::vector<ReferenceTensor> ReferenceTensors(const ReferenceAutoencoder& autoencoder,
                                              const std::string& prefix);
std::vector<ReferenceTensor> ReferenceTensors(const ReferenceModel& model);

// Tensors that older tools saved although they follow from the config; they are ignored.
bool IsDerivedReferenceTensor(const std::string& name);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_REFERENCE_REFERENCE_KEYS_H_
