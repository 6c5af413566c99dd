#include "worker/generation/baseline_sampler.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace halcyon::worker {

BaselineSampler::BaselineSampler(model::BaselineModel* model)
    : model_(model),
      window_(1, model->spec().window_chunks - 1,
              [model](const at::Tensor& tokens, const model::Placement* placement,
                      model::BackboneCache* cache) {
                return model->Logits(tokens.squeeze(2), placement, cache);
              }) {}

absl::Status BaselineSampler::Check(const model::TemperatureRule& rule) const {
  if (rule.temperature > 0) return absl::OkStatus();
  return InvalidArgument(
      fmt::format("temperature {} is not above 0; lower is less random", rule.temperature));
}

std::vector<StepChoice> BaselineSampler::Draw(std::span<const uint64_t> texts,
                                              std::span<const Tokens> /*prefixes*/,
                                              const StepOptions& options) {
  const at::Tensor scaled = window_.Last().to(at::kDouble) / options.rule.temperature;
  const at::Tensor cumulative = at::softmax(scaled, 1).cumsum(1).cpu().contiguous();
  const int64_t vocab_size = cumulative.size(1);
  std::vector<StepChoice> choices;
  for (size_t i = 0; i < texts.size(); ++i) {
    const PhiloxStream random(options.seed, NoiseStream::kGeneration, options.step, texts[i]);
    const double* row = cumulative.const_data_ptr<double>() + static_cast<int64_t>(i) * vocab_size;
    // The last sum is 1 but for rounding: scaling by it keeps the search inside.
    const double place = random.Uniform(0) * row[vocab_size - 1];
    const int64_t token = std::upper_bound(row, row + vocab_size, place) - row;
    choices.push_back({{std::min(token, vocab_size - 1)}, 1});
  }
  return choices;
}

}  // namespace halcyon::worker
