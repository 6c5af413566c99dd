// Held-out prompts with what the model writes after them: for people to read.
#ifndef HALCYON_WORKER_GENERATION_CONTINUATIONS_H_
#define HALCYON_WORKER_GENERATION_CONTINUATIONS_H_

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/status.h"
#include "jobs/job_spec.h"
#include "pipeline/samples/packing.h"
#include "pipeline/tokenizer.h"
#include "worker/generation/generator.h"

namespace halcyon::worker {

struct Continuation {
  std::string prompt, text;  // valid UTF-8
};

// eval.continuations of them, from the starts of held-out documents chosen by the seed; none when
// no text is held out. `in_step`: see GenerationOptions.
absl::StatusOr<std::vector<Continuation>> MakeContinuations(Generator& generator,
                                                            const pipeline::Packing& packing,
                                                            const pipeline::Tokenizer& tokenizer,
                                                            const jobs::EvalSpec& eval,
                                                            uint64_t seed, bool in_step);

// [{"prompt", "text"}, ...]
nlohmann::json ToJson(const std::vector<Continuation>& continuations);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_GENERATION_CONTINUATIONS_H_
