// Generation with networks of random weights: CALM against the softmax baseline of the same
// backbone, and its sampler against the plain form of Algorithm 2.
//
// How often draws coincide decides what a temperature below 1 costs, and random weights know no
// language; so the head's last layer is scaled until a given share of pairs of draws are equal
// (the collision probability: 1 for a certain next chunk, near 0 for a wide open one).
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "jobs/presets.h"
#include "model/initialise.h"
#include "worker/generation/baseline_sampler.h"
#include "worker/generation/calm_sampler.h"
#include "worker/generation/generator.h"

namespace halcyon::worker {
namespace {

constexpr int64_t kVocabulary = 8192, kChunk = 4, kDraws = 200;
constexpr uint32_t kEnd = 8190, kPadding = 8191;

jobs::ModelSpec Spec() {
  jobs::ModelSpec spec;
  spec.hidden_size = 256;
  spec.intermediate_size = 688;
  spec.layers = 4;
  spec.attention_heads = 4;
  spec.head_layers = 1;
  spec.window_chunks = 2048;
  return spec;
}

void Fill(const std::vector<model::Unit*>& units) {
  for (model::Unit* unit : units) {
    unit->Materialise();
    for (model::Parameter& parameter : unit->parameters()) {
      if (parameter.init == model::InitKind::kZero && parameter.shape.size() == 2) {
        parameter.init = model::InitKind::kWeight;  // the head's last layer
      }
    }
    model::Initialise(*unit, jobs::InitRule::kFanIn, 1.0, 1);
  }
}

// The paper's autoencoder (K = 4, l = 128, hidden 512) and a language model of H = 256, 4 layers.
struct Calm {
  Calm()
      : autoencoder(jobs::PaperAutoencoder(), kVocabulary),
        model(Spec(), kChunk, 128, kVocabulary) {
    Fill(autoencoder.units());
    Fill(model.units());
    for (model::Parameter& parameter : model.units().back()->parameters()) {
      if (parameter.name == "head.output_latent.weight") last = parameter.value;
      // Draws scatter around a place of their own: around zero every direction decodes differently.
      if (parameter.name == "head.output_latent.bias") {
        parameter.value.copy_(
            model::NoiseRows{4, NoiseStream::kInitialisation, 0, {0}}.Normal({128}).view({128}));
      }
    }
    HALCYON_CHECK(last.defined());
    unscaled = last.clone();
  }
  double Collision(double scale) {
    last.copy_(unscaled * scale);
    const model::NoiseRows noise{3, NoiseStream::kGeneration, 0, {0}};
    const at::Tensor tokens = at::arange(8 * kChunk).view({1, 8, kChunk});
    const at::Tensor hidden = model.Backbone(tokens, {}).narrow(1, 7, 1);
    const at::Tensor chunks =
        autoencoder.DecodeTokens(model.Sample(hidden, 0, 2 * kDraws, noise).view({2 * kDraws, -1}));
    const at::Tensor equal = (chunks.unsqueeze(0) == chunks.unsqueeze(1)).all(2);
    return (equal.sum().item<double>() - 2 * kDraws) / (2 * kDraws * (2 * kDraws - 1.0));
  }
  // Bisects the scale for a collision probability in percent; 100: all equal.
  void SetCollision(int64_t percent) {
    double low = 0, high = 64;
    for (int i = 0; i < 18 && percent < 100; ++i) {
      const double middle = (low + high) / 2;
      (Collision(middle) * 100 > static_cast<double>(percent) ? low : high) = middle;
    }
    Collision(percent == 100 ? 0 : high);
  }

  const c10::InferenceMode inference;
  model::Autoencoder autoencoder;
  model::CalmModel model;
  at::Tensor last, unscaled;
};

// Algorithm 2 as it is written down, over the same cache: every draw decoded through logits
// [N, K, V], chunks counted in a hash map, the choice by the binomials of the counts.
class PlainSampler : public CalmSampler {
 public:
  PlainSampler(model::CalmModel* model, model::Autoencoder* autoencoder)
      : CalmSampler(model, autoencoder),
        model_(model),
        autoencoder_(autoencoder),
        window_(kChunk, model->spec().window_chunks - 1,
                [model](const at::Tensor& tokens, const model::Placement* placement,
                        model::BackboneCache* cache) {
                  return model->Backbone(tokens, {}, placement, cache);
                }) {}
  void Begin(std::vector<Tokens> contexts) override { window_.Begin(std::move(contexts)); }
  void Append(std::span<const Tokens> steps) override { window_.Append(steps); }
  std::vector<StepChoice> Draw(std::span<const uint64_t> texts,
                               std::span<const Tokens> /*prefixes*/,
                               const StepOptions& options) override {
    const model::NoiseRows noise{
        options.seed, NoiseStream::kGeneration, options.step, {texts.begin(), texts.end()}};
    const at::Tensor latents = model_->Sample(window_.Last().unsqueeze(1), 0, kDraws, noise);
    const at::Tensor logits = autoencoder_->Decode(latents.view({kDraws, -1}));
    const at::Tensor tokens = logits.argmax(2).contiguous();
    std::unordered_map<std::string, int64_t> counts;
    constexpr size_t kBytes = kChunk * sizeof(int64_t);
    const auto* bytes = reinterpret_cast<const char*>(tokens.const_data_ptr<int64_t>());
    for (int64_t i = 0; i < kDraws; ++i) ++counts[std::string(bytes + i * kBytes, kBytes)];
    return {StepChoice{Choose(counts, options), kDraws}};
  }

 private:
  static Tokens Choose(const std::unordered_map<std::string, int64_t>& counts,
                       const StepOptions& options) {
    const PhiloxStream random(options.seed, NoiseStream::kGeneration, options.step, 1u << 31);
    double pairs = 0;
    for (const auto& [chunk, count] : counts) pairs += 0.5 * count * (count - 1);
    double left = random.Uniform(0) * (pairs > 0 ? pairs : kDraws);
    Tokens chosen(kChunk);
    for (const auto& [chunk, count] : counts) {
      left -= pairs > 0 ? 0.5 * count * (count - 1) : count;
      std::copy_n(chunk.data(), chunk.size(), reinterpret_cast<char*>(chosen.data()));
      if (left < 0) break;
    }
    return chosen;
  }

  model::CalmModel* model_;
  model::Autoencoder* autoencoder_;
  ContextWindow window_;
};

void Generate(benchmark::State& state, StepSampler* sampler, int64_t batch, int64_t tokens,
              double temperature) {
  Generator generator(sampler, {static_cast<uint32_t>(sampler->step_size()), kEnd, kPadding});
  const std::vector<std::vector<uint32_t>> prompts(batch, {1, 2, 3, 4, 5, 6, 7, 8});
  GenerationOptions options;
  options.tokens = tokens;
  options.rule = {.temperature = temperature, .draws = kDraws};
  double draws = 0, steps = 0;
  for (auto _ : state) {
    const auto texts = generator.Continue(prompts, options);
    HALCYON_CHECK(texts.ok());
    for (const GeneratedText& text : *texts) {
      draws += static_cast<double>(text.draws);
      steps += static_cast<double>(text.steps);
    }
    ++options.seed;
  }
  state.SetItemsProcessed(state.iterations() * batch * tokens);
  state.counters["draws/step"] = draws / steps;
}

// Arguments: output tokens, batch.
void Baseline(benchmark::State& state) {
  const c10::InferenceMode inference;
  jobs::ModelSpec spec = Spec();
  spec.head = jobs::HeadKind::kSoftmax;
  model::BaselineModel model(spec, kVocabulary);
  Fill(model.units());
  BaselineSampler sampler(&model);
  Generate(state, &sampler, state.range(1), state.range(0), 1.0);
}

// Arguments: output tokens, batch, T in percent, collision probability in percent.
void CalmByLength(benchmark::State& state) {
  Calm calm;
  calm.SetCollision(state.range(3));
  CalmSampler sampler(&calm.model, &calm.autoencoder);
  Generate(state, &sampler, state.range(1), state.range(0),
           static_cast<double>(state.range(2)) / 100);
}

// T = 0.5, 200 draws, batch 1. Argument: collision probability in percent.
void Sampler(benchmark::State& state) {
  Calm calm;
  calm.SetCollision(state.range(0));
  CalmSampler sampler(&calm.model, &calm.autoencoder);
  Generate(state, &sampler, 1, 64, 0.5);
}

void SamplerPlain(benchmark::State& state) {
  Calm calm;
  calm.SetCollision(state.range(0));
  PlainSampler sampler(&calm.model, &calm.autoencoder);
  Generate(state, &sampler, 1, 64, 0.5);
}

BENCHMARK(Baseline)->ArgsProduct({{64, 256, 1024}, {1, 16}})->Unit(benchmark::kMillisecond);
BENCHMARK(CalmByLength)
    ->ArgNames({"tokens", "batch", "T%", "collision%"})
    ->ArgsProduct({{64, 256, 1024}, {1, 16}, {100}, {20}})
    ->ArgsProduct({{64, 256, 1024}, {1, 16}, {50}, {20}})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(Sampler)->Arg(100)->Arg(50)->Arg(20)->Arg(5)->Arg(1)->Arg(0)->Unit(
    benchmark::kMillisecond);
BENCHMARK(SamplerPlain)->Arg(20)->Arg(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace halcyon::worker
