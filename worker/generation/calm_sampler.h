// Steps of CALM: draw latents of the next chunk, decode them, choose one at the temperature (paper
// section 5).
#ifndef HALCYON_WORKER_GENERATION_CALM_SAMPLER_H_
#define HALCYON_WORKER_GENERATION_CALM_SAMPLER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "model/autoencoder.h"
#include "model/calm_model.h"
#include "worker/generation/context_window.h"
#include "worker/generation/latent_draws.h"
#include "worker/generation/step_sampler.h"

namespace halcyon::worker {

// The context is at most window_chunks - 1 chunks, as in training. Every random number belongs to
// (seed, step, text) alone: the head's noise and, apart from it, the numbers of the choice; so a
// text is the same in any batch as far as sums of floats are, whose order may depend on the number
// of rows of a matrix product. Owns neither network.
class CalmSampler : public StepSampler {
 public:
  CalmSampler(model::CalmModel* model, model::Autoencoder* autoencoder);

  int64_t step_size() const override { return model_->chunk_size(); }
  int64_t vocab_size() const override { return autoencoder_->vocab_size(); }
  absl::Status Check(const model::TemperatureRule& rule) const override;
  void Begin(std::vector<Tokens> contexts) override { window_.Begin(std::move(contexts)); }
  std::vector<StepChoice> Draw(std::span<const uint64_t> texts, std::span<const Tokens> prefixes,
                               const StepOptions& options) override;
  void Append(std::span<const Tokens> steps) override { window_.Append(steps); }
  void Keep(const std::vector<int64_t>& rows) override { window_.Keep(rows); }

 private:
  at::Tensor Encode(const at::Tensor& tokens, const model::Placement* placement,
                    model::BackboneCache* cache);

  model::CalmModel* model_;
  model::Autoencoder* autoencoder_;
  ContextWindow window_;
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_GENERATION_CALM_SAMPLER_H_
