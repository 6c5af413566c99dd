// The samplers on small networks with random weights, against computations without a cache.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "model/initialise.h"
#include "worker/generation/baseline_sampler.h"
#include "worker/generation/calm_sampler.h"
#include "worker/generation/generator.h"

namespace halcyon::worker {
namespace {

constexpr int64_t kVocabulary = 32, kChunk = 4, kWindow = 8;
constexpr uint32_t kEnd = 30, kPadding = 31;
const pipeline::PackingRule kRule{kChunk, kEnd, kPadding};

void Fill(const std::vector<model::Unit*>& units, uint64_t seed) {
  for (model::Unit* unit : units) {
    unit->Materialise();
    // Nothing starts at zero here: every draw would be the same.
    for (model::Parameter& parameter : unit->parameters()) {
      if (parameter.init == model::InitKind::kZero) parameter.init = model::InitKind::kEmbedding;
    }
    model::Initialise(*unit, jobs::InitRule::kFanIn, 0.5, seed);
  }
}

jobs::ModelSpec SmallModel(jobs::InputKind input = jobs::InputKind::kDiscrete) {
  jobs::ModelSpec spec;
  spec.hidden_size = 16;
  spec.intermediate_size = 24;
  spec.layers = 2;
  spec.attention_heads = 2;
  spec.head_layers = 1;
  spec.noise_size = 8;
  spec.window_chunks = kWindow;
  spec.input = input;
  return spec;
}

std::vector<std::vector<uint32_t>> Ids(const std::vector<GeneratedText>& texts) {
  std::vector<std::vector<uint32_t>> ids;
  for (const GeneratedText& text : texts) ids.push_back(text.ids);
  return ids;
}

class CalmSamplerTest : public testing::TestWithParam<jobs::InputKind> {
 protected:
  CalmSamplerTest() : model_(SmallModel(GetParam()), kChunk, 6, kVocabulary) {
    jobs::AutoencoderSpec spec;
    spec.latent_size = 6;
    spec.hidden_size = 8;
    spec.intermediate_size = 16;
    autoencoder_ = std::make_unique<model::Autoencoder>(spec, kVocabulary);
    Fill(autoencoder_->units(), 1);
    Fill(model_.units(), 2);
  }

  // The hidden state after a context, from the whole context at once.
  at::Tensor Hidden(const Tokens& context) {
    const at::Tensor tokens = at::tensor(context, at::kLong).view({1, -1, kChunk});
    at::Tensor latents;
    if (model_.SeesLatents()) latents = autoencoder_->Encode(tokens.squeeze(0)).mean.unsqueeze(0);
    return model_.Backbone(tokens, latents).narrow(1, tokens.size(1) - 1, 1);
  }
  // Decoded draws: int64 [count, K].
  at::Tensor Decoded(const Tokens& context, int64_t count, uint64_t step, uint64_t text) {
    const model::NoiseRows noise{5, NoiseStream::kGeneration, step, {text}};
    return autoencoder_->DecodeTokens(
        model_.Sample(Hidden(context), 0, count, noise).view({count, -1}));
  }
  std::vector<GeneratedText> Continue(const std::vector<std::vector<uint32_t>>& prompts,
                                      GenerationOptions options) {
    options.seed = 5;
    CalmSampler sampler(&model_, autoencoder_.get());
    return Generator(&sampler, kRule).Continue(prompts, options).value();
  }

  const c10::InferenceMode inference_;
  model::CalmModel model_;
  std::unique_ptr<model::Autoencoder> autoencoder_;
};

// Past the window: it has 7 chunks and is cut to its last 3 when an eighth comes.
TEST_P(CalmSamplerTest, TheCacheChangesNothing) {
  CalmSampler sampler(&model_, autoencoder_.get());
  Tokens context = {kEnd, kPadding, kPadding, kPadding, 1, 2, 3, 4};
  sampler.Begin({context});
  const std::vector<uint64_t> texts = {3};
  const std::vector<Tokens> prefixes(1);
  for (uint64_t step = 0; step < 20; ++step) {
    const StepOptions options{.rule = {.temperature = 1}, .seed = 5, .step = step};
    const Tokens found = sampler.Draw(texts, prefixes, options)[0].tokens;
    const at::Tensor expected = Decoded(context, 1, step, 3);
    EXPECT_TRUE(at::equal(at::tensor(found, at::kLong), expected[0])) << "step " << step;
    sampler.Append(std::vector<Tokens>{found});
    context.insert(context.end(), found.begin(), found.end());
    if (context.size() > 7 * kChunk) context.erase(context.begin(), context.end() - 3 * kChunk);
  }
}

// Sums of floats may differ with the number of rows; with these networks no token is so near to
// another that it matters.
TEST_P(CalmSamplerTest, ATextIsTheSameAloneAndInABatch) {
  const std::vector<std::vector<uint32_t>> prompts = {
      {}, {1, 2, 3, 4, 5, 6, 7, 8}, {9}, {3, 1, 4, 1, 5}, std::vector<uint32_t>(50, 2)};
  for (const double temperature : {1.0, 0.5, 0.4}) {
    GenerationOptions options{.tokens = 44, .rule = {.temperature = temperature, .draws = 20}};
    if (temperature == 0.4) {
      options.rule.algorithm = model::TemperatureAlgorithm::kExact;
      options.rule.draws_max = 60;
    }
    const auto together = Continue(prompts, options);
    for (size_t i = 0; i < prompts.size(); ++i) {
      options.first_text = i;
      const auto alone = Continue({prompts[i]}, options);
      EXPECT_EQ(alone[0].ids, together[i].ids) << "prompt " << i << " at " << temperature;
      EXPECT_EQ(alone[0].prefix_missed, together[i].prefix_missed);
      EXPECT_EQ(alone[0].steps_ran_out, together[i].steps_ran_out);
    }
  }
}

TEST_P(CalmSamplerTest, SameSeedSameTextOtherTextAnother) {
  GenerationOptions options{.tokens = 40};
  const auto first = Continue({{1, 2, 3, 4}, {1, 2, 3, 4}}, options);
  EXPECT_EQ(Ids(Continue({{1, 2, 3, 4}, {1, 2, 3, 4}}, options)), Ids(first));
  EXPECT_NE(first[0].ids, first[1].ids);
}

TEST_P(CalmSamplerTest, DrawingAllAtOnceChangesNothing) {
  GenerationOptions options{.tokens = 24, .rule = {.temperature = 0.5, .draws = 30}};
  const auto lazy = Continue({{1, 2, 3, 4}}, options);
  options.in_step = true;
  const auto all = Continue({{1, 2, 3, 4}}, options);
  EXPECT_EQ(Ids(all), Ids(lazy));
  EXPECT_EQ(all[0].draws, 6 * 30);
}

TEST_P(CalmSamplerTest, APrefixChoosesAmongTheDrawsThatBeginWithIt) {
  const Tokens context = {kEnd, kPadding, kPadding, kPadding};
  const at::Tensor draws = Decoded(context, 256, 0, 0);
  CalmSampler sampler(&model_, autoencoder_.get());
  const std::vector<uint64_t> texts = {0};
  int64_t checked = 0;
  for (int64_t wanted = 0; wanted < 256; wanted += 37) {
    for (int64_t length = 1; length < kChunk; ++length) {
      const auto begins = (draws.narrow(1, 0, length) == draws[wanted].narrow(0, 0, length)).all(1);
      const int64_t first = begins.to(at::kInt).argmax(0).item<int64_t>();
      const int64_t* row = draws[wanted].const_data_ptr<int64_t>();
      const std::vector<Tokens> prefixes = {Tokens(row, row + length)};
      sampler.Begin({context});
      const StepChoice choice =
          sampler.Draw(texts, prefixes, {.rule = {.temperature = 1}, .seed = 5})[0];
      EXPECT_TRUE(at::equal(at::tensor(choice.tokens, at::kLong), draws[first]));
      EXPECT_FALSE(choice.prefix_missed);
      checked += first > 0 ? 1 : 0;
    }
  }
  EXPECT_GT(checked, 5);
}

TEST_P(CalmSamplerTest, APrefixThatNoDrawMeetsIsPutIntoTheFirst) {
  const Tokens context = {kEnd, kPadding, kPadding, kPadding};
  CalmSampler sampler(&model_, autoencoder_.get());
  const std::vector<uint64_t> texts = {0};
  const Tokens first = [&] {
    const at::Tensor tokens = Decoded(context, 1, 0, 0);
    const int64_t* row = tokens.const_data_ptr<int64_t>();
    return Tokens(row, row + kChunk);
  }();
  int64_t missed = 0;
  for (int64_t token = 0; token < kVocabulary; ++token) {
    sampler.Begin({context});
    const std::vector<Tokens> prefixes = {{token, (token + 7) % kVocabulary, token}};
    const StepChoice choice =
        sampler.Draw(texts, prefixes, {.rule = {.temperature = 0.5}, .seed = 5})[0];
    EXPECT_TRUE(std::equal(prefixes[0].begin(), prefixes[0].end(), choice.tokens.begin()));
    if (!choice.prefix_missed) continue;
    ++missed;
    EXPECT_EQ(choice.tokens[3], first[3]);
    EXPECT_EQ(choice.draws, 1024);
  }
  EXPECT_GT(missed, 20);
}

INSTANTIATE_TEST_SUITE_P(Inputs, CalmSamplerTest,
                         testing::Values(jobs::InputKind::kDiscrete, jobs::InputKind::kContinuous,
                                         jobs::InputKind::kBoth));

TEST(LatentDrawsTest, EqualLatentsAreOneDraw) {
  // As initialised, the head's last layer is zero: all latents are equal.
  const c10::InferenceMode inference;
  model::CalmModel model(SmallModel(), kChunk, 6, kVocabulary);
  for (model::Unit* unit : model.units()) {
    unit->Materialise();
    model::Initialise(*unit, jobs::InitRule::kFanIn, 0.5, 1);
  }
  jobs::AutoencoderSpec spec;
  spec.latent_size = 6;
  spec.hidden_size = 8;
  model::Autoencoder autoencoder(spec, kVocabulary);
  Fill(autoencoder.units(), 1);
  const std::vector<Tokens> prefixes(2);
  LatentDraws draws(&model, &autoencoder, at::ones({2, 16}),
                    {1, NoiseStream::kGeneration, 0, {0, 1}}, prefixes, 50);
  std::vector<model::Needs> needs(2);
  needs[0].draws = 10;
  needs[1].draws = 20;
  needs[1].tokens = {{19, 2}, {3, 4}};
  draws.Provide(needs);
  EXPECT_GE(draws.candidates(0).count(), 10);
  EXPECT_EQ(draws.candidates(0).Source(9), 0);
  EXPECT_EQ(draws.candidates(1).Source(19), 0);
  EXPECT_TRUE(draws.candidates(1).IsWhole(7));
  EXPECT_EQ(draws.candidates(0).Known(0).size(), 0u);
}

class BaselineSamplerTest : public testing::Test {
 protected:
  BaselineSamplerTest() : model_(SmallModel(), kVocabulary) { Fill(model_.units(), 3); }
  const c10::InferenceMode inference_;
  model::BaselineModel model_;
};

// One false alarm in a million: the limit is that quantile of chi-square at 31 degrees of freedom.
TEST_F(BaselineSamplerTest, FollowsTheLogitsOverTheTemperature) {
  constexpr int64_t kTexts = 4000;
  constexpr double kLimit = 84.6;
  const Tokens context = {kEnd, 4, 5};
  const at::Tensor logits =
      model_.Logits(at::tensor(context, at::kLong).unsqueeze(0))[0][2].to(at::kDouble);
  for (const double temperature : {1.0, 0.6, 1.7}) {
    at::Tensor probabilities = at::exp(logits / temperature);
    probabilities = probabilities / probabilities.sum();
    BaselineSampler sampler(&model_);
    sampler.Begin(std::vector<Tokens>(kTexts, context));
    std::vector<uint64_t> texts(kTexts);
    for (int64_t i = 0; i < kTexts; ++i) texts[i] = static_cast<uint64_t>(i);
    const std::vector<Tokens> prefixes(kTexts);
    std::vector<double> counts(kVocabulary);
    for (const StepChoice& choice :
         sampler.Draw(texts, prefixes, {.rule = {.temperature = temperature}, .seed = 8})) {
      ++counts[choice.tokens.at(0)];
    }
    double statistic = 0;
    for (int64_t v = 0; v < kVocabulary; ++v) {
      const double expected = kTexts * probabilities[v].item<double>();
      statistic += (counts[v] - expected) * (counts[v] - expected) / expected;
    }
    EXPECT_LT(statistic, kLimit) << "temperature " << temperature;
  }
}

TEST_F(BaselineSamplerTest, ATextIsTheSameAloneAndInABatchAndPastTheWindow) {
  const std::vector<std::vector<uint32_t>> prompts = {{}, {1, 2, 3}, std::vector<uint32_t>(30, 6)};
  GenerationOptions options{.tokens = 30};
  BaselineSampler sampler(&model_);
  Generator generator(&sampler, {1, kEnd, kPadding});
  const auto together = generator.Continue(prompts, options).value();
  for (size_t i = 0; i < prompts.size(); ++i) {
    options.first_text = i;
    const std::vector<std::vector<uint32_t>> one = {prompts[i]};
    EXPECT_EQ(generator.Continue(one, options).value()[0].ids, together[i].ids);
  }
}

TEST_F(BaselineSamplerTest, RefusesATemperatureOfNothing) {
  const BaselineSampler sampler(&model_);
  EXPECT_TRUE(absl::IsInvalidArgument(sampler.Check({.temperature = 0})));
  EXPECT_TRUE(sampler.Check({.temperature = 1.5}).ok());
}

}  // namespace
}  // namespace halcyon::worker
