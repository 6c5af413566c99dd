#include "worker/generator.h"

#include <gtest/gtest.h>

#include "model/initialise.h"

namespace halcyon::worker {
namespace {

// Networks with random weights: what is tested is the bookkeeping around them.
class GeneratorTest : public testing::Test {
 protected:
  void SetUp() override {
    jobs::AutoencoderSpec ae;
    ae.latent_size = 6;
    ae.hidden_size = 8;
    ae.intermediate_size = 16;
    jobs::ModelSpec lm;
    lm.hidden_size = 16;
    lm.intermediate_size = 24;
    lm.layers = 2;
    lm.attention_heads = 2;
    lm.head_layers = 1;
    lm.noise_size = 8;
    lm.window_chunks = 8;
    autoencoder_ = std::make_unique<model::Autoencoder>(ae, kVocabulary);
    model_ = std::make_unique<model::CalmModel>(lm, 4, ae.latent_size, kVocabulary);
    for (auto* unit : autoencoder_->units()) Fill(unit);
    for (auto* unit : model_->units()) Fill(unit);
    // The head's last layer starts at zero: without this every draw would be the same.
    auto& last = model_->units().back()->parameters();
    for (model::Parameter& parameter : last) {
      if (parameter.shape.size() == 2 && parameter.shape[0] == ae.latent_size) {
        model::Parameter weight = parameter;
        weight.init = model::InitKind::kWeight;
        model::DrawInitial(
            weight, jobs::InitRule::kFanIn, 0.5, 77, 0,
            {parameter.value.data_ptr<float>(), static_cast<size_t>(parameter.numel())});
      }
    }
  }

  static void Fill(model::Unit* unit) {
    unit->Materialise();
    model::Initialise(*unit, jobs::InitRule::kFanIn, 0.5, 1);
  }

  absl::StatusOr<std::vector<uint32_t>> Continue(const std::vector<uint32_t>& prompt,
                                                 const GenerationOptions& options) {
    Generator generator(model_.get(), autoencoder_.get(), {4, 30, 31});
    return generator.Continue(prompt, options);
  }

  static constexpr int64_t kVocabulary = 32;
  std::unique_ptr<model::Autoencoder> autoencoder_;
  std::unique_ptr<model::CalmModel> model_;
};

TEST_F(GeneratorTest, SameSeedSameTextOtherSeedAnother) {
  GenerationOptions options;
  options.chunks = 12;  // past the window of 8 chunks
  options.stop_at_end = false;
  const auto first = Continue({1, 2, 3, 4}, options);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(*Continue({1, 2, 3, 4}, options), *first);
  options.text = 1;
  EXPECT_NE(*Continue({1, 2, 3, 4}, options), *first);
}

TEST_F(GeneratorTest, SpecialTokensAreLeftOutAndEndOfTextEnds) {
  GenerationOptions options;
  options.chunks = 200;
  options.stop_at_end = false;
  const auto whole = Continue({}, options);
  options.stop_at_end = true;
  const auto ended = Continue({}, options);
  ASSERT_TRUE(whole.ok() && ended.ok());
  for (const uint32_t id : *whole) EXPECT_LT(id, 30u);
  ASSERT_LE(ended->size(), whole->size());
  EXPECT_TRUE(std::equal(ended->begin(), ended->end(), whole->begin()));
}

TEST_F(GeneratorTest, ChunksAreHeardAsTheyCome) {
  GenerationOptions options;
  options.chunks = 5;
  options.stop_at_end = false;
  Generator generator(model_.get(), autoencoder_.get(), {4, 30, 31});
  std::vector<uint32_t> heard;
  int calls = 0;
  const auto text = generator.Continue(std::vector<uint32_t>{5, 6}, options, [&](auto chunk) {
    heard.insert(heard.end(), chunk.begin(), chunk.end());
    ++calls;
  });
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(heard, *text);
  EXPECT_EQ(calls, 5);
}

TEST_F(GeneratorTest, LeftoverTokensOfThePromptAreNotRepeated) {
  GenerationOptions options;
  options.chunks = 1;
  options.stop_at_end = false;
  for (size_t leftover = 1; leftover < 4; ++leftover) {
    std::vector<uint32_t> prompt(4 + leftover, 7);
    const auto text = Continue(prompt, options);
    ASSERT_TRUE(text.ok());
    EXPECT_LE(text->size(), 4 - leftover);
  }
}

TEST_F(GeneratorTest, BadTemperatureAndBadIdsAreRefused) {
  GenerationOptions options;
  options.temperature = 0.4;
  EXPECT_TRUE(absl::IsInvalidArgument(Continue({}, options).status()));
  options.temperature = 1;
  EXPECT_TRUE(absl::IsInvalidArgument(Continue({99}, options).status()));
}

}  // namespace
}  // namespace halcyon::worker
