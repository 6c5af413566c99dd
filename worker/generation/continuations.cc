#include "worker/generation/continuations.h"

#include <algorithm>
#include <functional>

#include "base/philox.h"
#include "pipeline/text_stream.h"
#include "pipeline/utf8.h"
#include "worker/scoring/evaluation_noise.h"

namespace halcyon::worker {
namespace {

using pipeline::Split;

// Places tried for a document's start before any chunk is taken.
constexpr uint64_t kTriesMax = 64;

// First chunk at or after a random place where a document starts, so that prompts start like text.
absl::StatusOr<uint64_t> RandomStart(const pipeline::Packing& packing, Split split,
                                     uint64_t prompt_chunks, const PhiloxStream& random,
                                     uint64_t index) {
  const uint64_t chunks = packing.Chunks(split);
  const uint64_t last = chunks > prompt_chunks ? chunks - prompt_chunks : 0;
  const uint64_t place = random.Below(index, last + 1);
  if (place == 0) return place;
  // From the chunk before it on.
  std::vector<uint64_t> documents(std::min(last - place, kTriesMax) + 1);
  RETURN_IF_ERROR(packing.DocumentsOf(split, place - 1, documents));
  const auto same = std::adjacent_find(documents.begin(), documents.end(), std::not_equal_to<>());
  const auto tried = static_cast<uint64_t>(same - documents.begin());
  return place + std::min<uint64_t>(tried, documents.size() - 1);
}

}  // namespace

absl::StatusOr<std::vector<Continuation>> MakeContinuations(Generator& generator,
                                                            const pipeline::Packing& packing,
                                                            const pipeline::Tokenizer& tokenizer,
                                                            const jobs::EvalSpec& eval,
                                                            uint64_t seed, bool in_step) {
  std::vector<Continuation> continuations;
  // Without held-out text, prompts are of what the model has seen.
  const Split split = packing.Chunks(Split::kHeldout) > 0 ? Split::kHeldout : Split::kTrain;
  const uint64_t chunks = packing.Chunks(split);
  if (chunks == 0) return continuations;
  const uint64_t prompt_chunks = std::min<uint64_t>(eval.prompt_chunks, chunks);
  const PhiloxStream random(seed, NoiseStream::kEvaluation, kPromptPlaces, 0);
  std::vector<std::vector<uint32_t>> prompts;
  for (int64_t i = 0; i < eval.continuations; ++i) {
    ASSIGN_OR_RETURN(const uint64_t first, RandomStart(packing, split, prompt_chunks, random, i));
    auto& prompt = prompts.emplace_back(prompt_chunks * packing.rule().chunk_size);
    RETURN_IF_ERROR(packing.Tokens(split, first, prompt));
  }
  if (prompts.empty()) return continuations;
  GenerationOptions options;
  options.tokens = eval.continuation_chunks * packing.rule().chunk_size;
  options.rule = {.temperature = eval.temperature, .draws = eval.temperature_samples};
  options.seed = seed;
  options.in_step = in_step;
  ASSIGN_OR_RETURN(const auto texts, generator.Continue(prompts, options));
  for (size_t i = 0; i < texts.size(); ++i) {
    ASSIGN_OR_RETURN(const std::string prompt, tokenizer.Decode(prompts[i]));
    ASSIGN_OR_RETURN(const std::string text,
                     pipeline::DecodeBehind(tokenizer, prompts[i], texts[i].ids));
    continuations.push_back(
        {pipeline::ReplaceInvalidUtf8(prompt), pipeline::ReplaceInvalidUtf8(text)});
  }
  return continuations;
}

nlohmann::json ToJson(const std::vector<Continuation>& continuations) {
  nlohmann::json list = nlohmann::json::array();
  for (const Continuation& one : continuations) {
    list.push_back({{"prompt", one.prompt}, {"text", one.text}});
  }
  return list;
}

}  // namespace halcyon::worker
