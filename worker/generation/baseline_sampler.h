// Steps of the softmax baseline: one token from the logits divided by the temperature.
#ifndef HALCYON_WORKER_GENERATION_BASELINE_SAMPLER_H_
#define HALCYON_WORKER_GENERATION_BASELINE_SAMPLER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "model/baseline_model.h"
#include "worker/generation/context_window.h"
#include "worker/generation/step_sampler.h"

namespace halcyon::worker {

// Any temperature above 0; the algorithm and its draws do not matter. Random numbers as in
// CalmSampler. Does not own the network.
class BaselineSampler : public StepSampler {
 public:
  explicit BaselineSampler(model::BaselineModel* model);

  int64_t step_size() const override { return 1; }
  int64_t vocab_size() const override { return model_->vocab_size(); }
  absl::Status Check(const model::TemperatureRule& rule) const override;
  void Begin(std::vector<Tokens> contexts) override { window_.Begin(std::move(contexts)); }
  std::vector<StepChoice> Draw(std::span<const uint64_t> texts, std::span<const Tokens> prefixes,
                               const StepOptions& options) override;
  void Append(std::span<const Tokens> steps) override { window_.Append(steps); }
  void Keep(const std::vector<int64_t>& rows) override { window_.Keep(rows); }

 private:
  model::BaselineModel* model_;
  ContextWindow window_;
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_GENERATION_BASELINE_SAMPLER_H_
