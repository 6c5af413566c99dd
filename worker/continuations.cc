#include "worker/continuations.h"

#include <algorithm>

#include "base/philox.h"
#include "pipeline/utf8.h"

namespace halcyon::worker {
namespace {

using pipeline::Split;

// Where to look for a document's start before taking what comes.
constexpr int kTriesMax = 64;

// First chunk at or after a random place where a document starts, so that prompts start like text.
uint64_t RandomStart(const pipeline::Packing& packing, uint64_t prompt_chunks,
                     const PhiloxStream& random, uint64_t index) {
  const uint64_t chunks = packing.Chunks(Split::kHeldout);
  const uint64_t last = chunks > prompt_chunks ? chunks - prompt_chunks : 0;
  uint64_t chunk = random.Below(index, last + 1);
  for (int tries = 0; tries < kTriesMax && chunk < last; ++tries, ++chunk) {
    if (chunk == 0 || packing.DocumentOf(Split::kHeldout, chunk) !=
                          packing.DocumentOf(Split::kHeldout, chunk - 1)) {
      break;
    }
  }
  return chunk;
}

}  // namespace

absl::StatusOr<std::vector<Continuation>> MakeContinuations(Generator& generator,
                                                            const pipeline::Packing& packing,
                                                            const pipeline::Tokenizer& tokenizer,
                                                            const jobs::EvalSpec& eval,
                                                            uint64_t seed, bool stop_at_end) {
  std::vector<Continuation> continuations;
  const uint64_t chunks = packing.Chunks(Split::kHeldout);
  if (chunks == 0) return continuations;
  const uint64_t prompt_chunks = std::min<uint64_t>(eval.prompt_chunks, chunks);
  const PhiloxStream random(seed, NoiseStream::kEvaluation, 1, 0);
  for (int64_t i = 0; i < eval.continuations; ++i) {
    const uint64_t first = RandomStart(packing, prompt_chunks, random, i);
    std::vector<uint32_t> prompt(prompt_chunks * packing.rule().chunk_size);
    RETURN_IF_ERROR(packing.Tokens(Split::kHeldout, first, prompt));
    GenerationOptions options;
    options.chunks = eval.continuation_chunks;
    options.temperature = eval.temperature;
    options.draws = eval.temperature_samples;
    options.seed = seed;
    options.text = static_cast<uint64_t>(i);
    options.stop_at_end = stop_at_end;
    ASSIGN_OR_RETURN(const auto text, generator.Continue(prompt, options));
    Continuation continuation;
    ASSIGN_OR_RETURN(const std::string prompt_bytes, tokenizer.Decode(prompt));
    ASSIGN_OR_RETURN(const std::string text_bytes, tokenizer.Decode(text));
    continuation.prompt = pipeline::ReplaceInvalidUtf8(prompt_bytes);
    continuation.text = pipeline::ReplaceInvalidUtf8(text_bytes);
    continuations.push_back(std::move(continuation));
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
