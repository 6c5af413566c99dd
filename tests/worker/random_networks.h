// Small networks with random weights, for tests of the bookkeeping around them.
#ifndef HALCYON_TESTS_WORKER_RANDOM_NETWORKS_H_
#define HALCYON_TESTS_WORKER_RANDOM_NETWORKS_H_

#include <ATen/ATen.h>

#include <vector>

#include "jobs/job_spec.h"
#include "model/noise.h"
#include "model/unit.h"

namespace halcyon::worker {

// Weights that let every input matter and every output vary.
inline void FillRandomly(const std::vector<model::Unit*>& units, uint64_t seed) {
  uint64_t index = 0;
  for (model::Unit* unit : units) {
    unit->Materialise();
    for (model::Parameter& parameter : unit->parameters()) {
      const model::NoiseRows rows{seed, NoiseStream::kInitialisation, 0, {index++}};
      const at::Tensor normal = rows.Normal(parameter.shape).squeeze(0);
      const bool norm = parameter.init == model::InitKind::kOne;
      parameter.value.detach().copy_(norm ? 1 + 0.1 * normal : 0.5 * normal);
    }
  }
}

inline jobs::AutoencoderSpec SmallAutoencoder(int64_t chunk_size, int64_t latent_size) {
  jobs::AutoencoderSpec spec;
  spec.chunk_size = chunk_size;
  spec.latent_size = latent_size;
  spec.hidden_size = 8;
  spec.intermediate_size = 12;
  return spec;
}

inline jobs::ModelSpec SmallModel() {
  jobs::ModelSpec spec;
  spec.hidden_size = 16;
  spec.intermediate_size = 24;
  spec.layers = 2;
  spec.attention_heads = 4;
  spec.key_value_heads = 2;
  spec.head_layers = 1;
  spec.noise_size = 4;
  spec.samples = 3;
  return spec;
}

}  // namespace halcyon::worker

#endif  // HALCYON_TESTS_WORKER_RANDOM_NETWORKS_H_
