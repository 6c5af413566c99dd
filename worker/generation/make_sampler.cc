#include "worker/generation/make_sampler.h"

#include "worker/generation/baseline_sampler.h"
#include "worker/generation/calm_sampler.h"

namespace halcyon::worker {

std::unique_ptr<StepSampler> MakeSampler(const OpenedModel& model,
                                         model::Autoencoder* autoencoder) {
  if (model.baseline != nullptr) return std::make_unique<BaselineSampler>(model.baseline.get());
  return std::make_unique<CalmSampler>(model.calm.get(), autoencoder);
}

}  // namespace halcyon::worker
