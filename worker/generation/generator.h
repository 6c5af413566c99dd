// Text from a trained language model: step by step, for a batch of prompts at once.
#ifndef HALCYON_WORKER_GENERATION_GENERATOR_H_
#define HALCYON_WORKER_GENERATION_GENERATOR_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/status.h"
#include "pipeline/samples/packing.h"
#include "worker/generation/step_sampler.h"

namespace halcyon::worker {

struct GenerationOptions {
  int64_t tokens = 96;  // of a text, at most
  model::TemperatureRule rule = {};
  uint64_t seed = 0;
  uint64_t first_text = 0;  // number of the first prompt's text under the seed; the others follow
  // All texts take all their steps, with the same calls of the networks whatever is drawn: for
  // ranks that hold shards of them. Otherwise a text leaves the batch when it ends.
  bool in_step = false;
};

enum class TextEnd { kEndOfText, kLength };

struct GeneratedText {
  std::vector<uint32_t> ids;  // without end-of-text and padding
  TextEnd end = TextEnd::kLength;
  int64_t steps = 0;
  int64_t draws = 0;           // over all steps
  int64_t steps_ran_out = 0;   // where the exact algorithm met draws_max
  bool prefix_missed = false;  // no draw began with the prompt's leftover tokens
};

// Not thread-safe. Does not own the sampler.
class Generator {
 public:
  // Of the rule, its special tokens matter.
  Generator(StepSampler* sampler, const pipeline::PackingRule& rule);

  // Continues the prompts (ids, any length; empty: the start of a document). `on_tokens` is called
  // with the new ids of prompt number i as they come. A prompt that is no multiple of K conditions
  // the first step on its leftover tokens: only draws that begin with them are candidates; when
  // none of many does, the first draw's rest is taken and prefix_missed says so. kInvalidArgument:
  // temperature, draws, ids, nothing to do.
  absl::StatusOr<std::vector<GeneratedText>> Continue(
      std::span<const std::vector<uint32_t>> prompts, const GenerationOptions& options,
      const std::function<void(size_t, std::span<const uint32_t>)>& on_tokens = {});

 private:
  struct Row;
  absl::StatusOr<std::vector<Row>> Begin(std::span<const std::vector<uint32_t>> prompts,
                                         const GenerationOptions& options);
  // Adds a step's tokens to the row's text; returns whether the text goes on.
  bool Take(const StepChoice& choice, const GenerationOptions& options, Row* row) const;

  StepSampler* sampler_;
  pipeline::PackingRule rule_;
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_GENERATION_GENERATOR_H_
