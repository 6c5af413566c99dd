#include "worker/generation/calm_sampler.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <memory>
#include <optional>

namespace halcyon::worker {
namespace {

using model::Chooser;
using model::TemperatureAlgorithm;

// Latents that may be drawn to meet a prompt's leftover tokens, at least.
constexpr int64_t kPrefixDrawsMax = 1024;
// The choice draws its numbers under text numbers from here on, the head's noise under those below.
constexpr uint64_t kChoiceOffset = uint64_t{1} << 31;

int64_t DrawsMax(const model::TemperatureRule& rule) {
  return rule.algorithm == TemperatureAlgorithm::kExact ? rule.draws_max : rule.draws;
}

// The state of one text's search for its next chunk.
struct Search {
  std::unique_ptr<Chooser> chooser;
  int64_t draws_first = 0;  // needed before the chooser is called
  std::optional<StepChoice> result;
};

StepChoice PrefixMissed(LatentDraws& draws, int64_t text, const Tokens& prefix) {
  StepChoice choice;
  choice.tokens = draws.DecodeFirst(text);
  std::copy(prefix.begin(), prefix.end(), choice.tokens.begin());
  choice.draws = draws.made(text);
  choice.prefix_missed = true;
  return choice;
}

// Goes on as far as the known draws allow; puts into `needs` what is missing.
void Advance(LatentDraws& draws, int64_t text, const Tokens& prefix, Search* search,
             model::Needs* needs) {
  const model::Draws& candidates = draws.candidates(text);
  const bool no_more = draws.no_more(text);
  if (!no_more && candidates.count() < search->draws_first) {
    needs->draws = search->draws_first;
    return;
  }
  if (no_more && candidates.count() == 0) {
    search->result = PrefixMissed(draws, text, prefix);
    return;
  }
  const auto choice = search->chooser->Advance(candidates, no_more, needs);
  if (!choice.has_value()) return;
  const std::span<const int64_t> tokens = candidates.Known(choice->draw);
  search->result = StepChoice{{tokens.begin(), tokens.end()}, draws.made(text), choice->ran_out};
}

}  // namespace

CalmSampler::CalmSampler(model::CalmModel* model, model::Autoencoder* autoencoder)
    : model_(model),
      autoencoder_(autoencoder),
      window_(model->chunk_size(), model->spec().window_chunks - 1,
              [this](const at::Tensor& tokens, const model::Placement* placement,
                     model::BackboneCache* cache) { return Encode(tokens, placement, cache); }) {}

at::Tensor CalmSampler::Encode(const at::Tensor& tokens, const model::Placement* placement,
                               model::BackboneCache* cache) {
  at::Tensor latents;
  if (model_->SeesLatents()) {
    const at::Tensor mean = autoencoder_->Encode(tokens.reshape({-1, model_->chunk_size()})).mean;
    latents = mean.reshape({tokens.size(0), tokens.size(1), -1});
  }
  return model_->Backbone(tokens, latents, placement, cache);
}

absl::Status CalmSampler::Check(const model::TemperatureRule& rule) const {
  RETURN_IF_ERROR(model::CheckTemperature(rule));
  return model_->head().CheckDraws(DrawsMax(rule), /*positions=*/1);
}

std::vector<StepChoice> CalmSampler::Draw(std::span<const uint64_t> texts,
                                          std::span<const Tokens> prefixes,
                                          const StepOptions& options) {
  const model::TemperatureRule& rule = options.rule;
  const bool any_prefix =
      std::any_of(prefixes.begin(), prefixes.end(), [](const Tokens& p) { return !p.empty(); });
  const int64_t draws_max = DrawsMax(rule);
  model::NoiseRows noise{
      options.seed, NoiseStream::kGeneration, options.step, {texts.begin(), texts.end()}};
  LatentDraws draws(model_, autoencoder_, window_.Last(), noise, prefixes,
                    any_prefix ? std::max(draws_max, kPrefixDrawsMax) : draws_max);
  std::vector<Search> searches(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    const PhiloxStream random(options.seed, NoiseStream::kGeneration, options.step,
                              kChoiceOffset + texts[i]);
    searches[i].chooser = model::MakeChooser(rule, random);
    // The batch rule's first trials would not be those of the fewer draws that a prefix may leave.
    const bool all_first = !prefixes[i].empty() && rule.temperature < 1 &&
                           rule.algorithm == TemperatureAlgorithm::kBatch;
    if (all_first || options.draw_all) searches[i].draws_first = draws_max;
  }
  while (true) {
    std::vector<model::Needs> needs(texts.size());
    bool all_done = true;
    for (size_t i = 0; i < texts.size(); ++i) {
      if (searches[i].result.has_value()) continue;
      Advance(draws, static_cast<int64_t>(i), prefixes[i], &searches[i], &needs[i]);
      all_done = all_done && searches[i].result.has_value();
    }
    if (all_done) break;
    draws.Provide(needs);
  }
  std::vector<StepChoice> choices;
  for (Search& search : searches) choices.push_back(std::move(*search.result));
  return choices;
}

}  // namespace halcyon::worker
