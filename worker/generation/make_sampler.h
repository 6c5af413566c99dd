// The sampler that goes with a language model of either kind.
#ifndef HALCYON_WORKER_GENERATION_MAKE_SAMPLER_H_
#define HALCYON_WORKER_GENERATION_MAKE_SAMPLER_H_

#include <memory>

#include "worker/generation/step_sampler.h"
#include "worker/inputs/artifacts.h"

namespace halcyon::worker {

// Uses the networks, which must outlive it. `autoencoder` may be null for a baseline.
std::unique_ptr<StepSampler> MakeSampler(const OpenedModel& model, model::Autoencoder* autoencoder);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_GENERATION_MAKE_SAMPLER_H_
