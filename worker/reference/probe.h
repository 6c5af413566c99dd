// One deterministic forward pass in float32 that writes its intermediate values, for comparing them
// number by number with another implementation: for checking a conversion.
//
// Inputs and outputs are safetensors files; docs/reference_checkpoints.md lists the tensors and
// their shapes. log_std is as the network gives it, not clamped as in training.
#ifndef HALCYON_WORKER_REFERENCE_PROBE_H_
#define HALCYON_WORKER_REFERENCE_PROBE_H_

#include <c10/core/Device.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/env.h"
#include "base/status.h"

namespace halcyon::worker {

// `checkpoint`: a folder that an import wrote, or the artifact of an autoencoder or of a softmax
// baseline. kInvalidArgument names an input that is missing, unknown to this network, of another
// type or shape, or out of range. Returns the outputs' shapes.
absl::StatusOr<nlohmann::json> Probe(Env& env, const std::string& checkpoint,
                                     const std::string& inputs, const std::string& output,
                                     c10::Device device = c10::kCPU);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_REFERENCE_PROBE_H_
