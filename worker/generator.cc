#include "worker/generator.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "model/noise.h"
#include "model/temperature.h"

namespace halcyon::worker {
namespace {

// Draws when leftover tokens of the prompt must be met and the temperature alone needs just one.
constexpr int64_t kLeftoverDraws = 64;
// The choice among draws has its own texts, apart from the head's noise.
constexpr uint64_t kChoiceOffset = uint64_t{1} << 31;

// Rows of `draws` that start with `prefix`; all rows, with the prefix put in, when none does.
std::vector<int64_t> RowsStartingWith(std::vector<int64_t> draws, std::span<const int64_t> prefix,
                                      int64_t chunk_size) {
  std::vector<int64_t> kept;
  for (size_t row = 0; row < draws.size(); row += chunk_size) {
    if (!std::equal(prefix.begin(), prefix.end(), draws.begin() + row)) continue;
    kept.insert(kept.end(), draws.begin() + row, draws.begin() + row + chunk_size);
  }
  if (!kept.empty()) return kept;
  draws.resize(chunk_size);
  std::copy(prefix.begin(), prefix.end(), draws.begin());
  return draws;
}

}  // namespace

Generator::Generator(model::CalmModel* model, model::Autoencoder* autoencoder,
                     const pipeline::PackingRule& rule)
    : model_(model), autoencoder_(autoencoder), rule_(rule) {}

std::vector<int64_t> Generator::DrawChunk(const std::vector<int64_t>& context, int64_t draws,
                                          const GenerationOptions& options, int64_t chunk) {
  const int64_t chunk_size = rule_.chunk_size;
  const int64_t chunks_all = static_cast<int64_t>(context.size()) / chunk_size;
  const int64_t chunks = std::min(chunks_all, model_->spec().window_chunks - 1);
  const at::Tensor tokens = at::empty({1, chunks, chunk_size}, at::kLong);
  std::copy(context.end() - chunks * chunk_size, context.end(), tokens.data_ptr<int64_t>());
  at::Tensor seen;
  if (model_->SeesLatents()) seen = autoencoder_->Encode(tokens[0]).mean.unsqueeze(0);
  const at::Tensor hidden = model_->Backbone(tokens, seen).narrow(1, chunks - 1, 1);
  const model::NoiseRows noise{
      options.seed, NoiseStream::kGeneration, static_cast<uint64_t>(chunk), {options.text}};
  const at::Tensor latents = model_->Sample(hidden, 0, draws, noise).reshape({draws, -1});
  const at::Tensor ids = autoencoder_->DecodeTokens(latents).contiguous();
  const int64_t* first = ids.const_data_ptr<int64_t>();
  return {first, first + ids.numel()};
}

absl::StatusOr<std::vector<uint32_t>> Generator::Continue(
    std::span<const uint32_t> prompt, const GenerationOptions& options,
    const std::function<void(std::span<const uint32_t>)>& on_chunk) {
  c10::NoGradGuard no_grad;
  ASSIGN_OR_RETURN(const int64_t inverse, model::InverseTemperature(options.temperature));
  const int64_t chunk_size = rule_.chunk_size;
  // What stands before a document in training: the end of the one before.
  std::vector<int64_t> context(chunk_size, rule_.padding);
  context[0] = rule_.end_of_text;
  context.insert(context.end(), prompt.begin(), prompt.end());
  for (const int64_t id : context) {
    if (id >= autoencoder_->vocab_size()) {
      return InvalidArgument("prompt: id " + std::to_string(id) + " is not in the vocabulary");
    }
  }
  std::vector<int64_t> leftover(context.end() - static_cast<int64_t>(context.size()) % chunk_size,
                                context.end());
  context.resize(context.size() - leftover.size());

  std::vector<uint32_t> text;
  for (int64_t chunk = 0; chunk < options.chunks; ++chunk) {
    int64_t draws = inverse == 1 ? 1 : options.draws;
    if (!leftover.empty()) draws = std::max(draws, kLeftoverDraws);
    const std::vector<int64_t> rows =
        RowsStartingWith(DrawChunk(context, draws, options, chunk), leftover, chunk_size);
    const PhiloxStream choice(options.seed, NoiseStream::kGeneration, chunk,
                              kChoiceOffset + options.text);
    const int64_t row = model::ChooseAtTemperature(rows, chunk_size, inverse, choice, 0);
    const std::span chosen(rows.data() + row * chunk_size, chunk_size);
    context.insert(context.end(), chosen.begin(), chosen.end());
    const size_t before = text.size();
    bool ended = false;
    for (size_t i = leftover.size(); i < chosen.size() && !ended; ++i) {
      ended = chosen[i] == rule_.end_of_text;
      if (!ended && chosen[i] != rule_.padding) text.push_back(static_cast<uint32_t>(chosen[i]));
    }
    if (on_chunk) on_chunk(std::span(text).subspan(before));
    if (ended && options.stop_at_end) break;
    leftover.clear();
  }
  return text;
}

}  // namespace halcyon::worker
