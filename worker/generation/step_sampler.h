// What a generator needs of a language model: to draw the next step of every text of a batch. A
// step is a chunk of K tokens for CALM and one token for the baseline.
#ifndef HALCYON_WORKER_GENERATION_STEP_SAMPLER_H_
#define HALCYON_WORKER_GENERATION_STEP_SAMPLER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "model/sampling/temperature.h"

namespace halcyon::worker {

using Tokens = std::vector<int64_t>;

struct StepOptions {
  model::TemperatureRule rule = {};
  uint64_t seed = 0;
  uint64_t step = 0;  // of the generation
  // Make all draws of the rule at once, so that calls of the networks do not depend on what is
  // drawn: ranks that hold shards of them must make the same calls.
  bool draw_all = false;
};

struct StepChoice {
  Tokens tokens;               // step_size of them
  int64_t draws = 0;           // that were made
  bool ran_out = false;        // the exact algorithm met draws_max: the batch rule decided
  bool prefix_missed = false;  // no draw began with the prefix, which was written over one
};

// Holds the contexts of one batch of texts. Not thread-safe. Works under no_grad.
class StepSampler {
 public:
  virtual ~StepSampler() = default;
  virtual int64_t step_size() const = 0;
  virtual int64_t vocab_size() const = 0;
  // kInvalidArgument: a temperature that this model cannot be sampled at.
  virtual absl::Status Check(const model::TemperatureRule& rule) const = 0;

  // Begins with these contexts: each at least one step, in whole steps, in the vocabulary.
  virtual void Begin(std::vector<Tokens> contexts) = 0;
  // The next step of each text. `texts`: their numbers under the seed. `prefixes`: tokens that the
  // step begins with (fewer than step_size); one for each text.
  virtual std::vector<StepChoice> Draw(std::span<const uint64_t> texts,
                                       std::span<const Tokens> prefixes,
                                       const StepOptions& options) = 0;
  // Adds one step to each text.
  virtual void Append(std::span<const Tokens> steps) = 0;
  // Goes on with these rows of the batch only: at least one, ascending.
  virtual void Keep(const std::vector<int64_t>& rows) = 0;
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_GENERATION_STEP_SAMPLER_H_
