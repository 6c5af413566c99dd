#include "worker/generation/generator.h"

#include <gmock/gmock.h>

#include <map>
#include <string>

namespace halcyon::worker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr int64_t kEnd = 30, kPadding = 31;

// Answers with prepared steps of four tokens, by text and step, and records its arguments.
class ScriptedSampler : public StepSampler {
 public:
  int64_t step_size() const override { return 4; }
  int64_t vocab_size() const override { return 32; }
  absl::Status Check(const model::TemperatureRule& rule) const override {
    return model::CheckTemperature(rule);
  }
  void Begin(std::vector<Tokens> contexts) override { contexts_ = std::move(contexts); }
  std::vector<StepChoice> Draw(std::span<const uint64_t> texts, std::span<const Tokens> prefixes,
                               const StepOptions& options) override {
    EXPECT_EQ(texts.size(), contexts_.size());
    batches.push_back({texts.begin(), texts.end()});
    prefixes_seen.assign(prefixes.begin(), prefixes.end());
    std::vector<StepChoice> choices;
    for (const uint64_t text : texts) {
      const auto found = script.find({text, options.step});
      StepChoice& choice = choices.emplace_back();
      choice.tokens = found != script.end() ? found->second : Tokens{1, 2, 3, 4};
      choice.draws = 5;
      choice.ran_out = text == 1;
    }
    return choices;
  }
  void Append(std::span<const Tokens> steps) override {
    ASSERT_EQ(steps.size(), contexts_.size());
    for (size_t i = 0; i < steps.size(); ++i) {
      contexts_[i].insert(contexts_[i].end(), steps[i].begin(), steps[i].end());
    }
  }
  void Keep(const std::vector<int64_t>& rows) override {
    std::vector<Tokens> kept;
    for (const int64_t row : rows) kept.push_back(contexts_[row]);
    contexts_ = kept;
  }

  std::map<std::pair<uint64_t, uint64_t>, Tokens> script;  // (text, step) -> tokens
  std::vector<std::vector<uint64_t>> batches;              // texts of each Draw
  std::vector<Tokens> prefixes_seen;
  std::vector<Tokens> contexts_;
};

class GeneratorTest : public testing::Test {
 protected:
  std::vector<GeneratedText> Continue(std::vector<std::vector<uint32_t>> prompts,
                                      const GenerationOptions& options) {
    Generator generator(&sampler_, {4, kEnd, kPadding});
    auto texts = generator.Continue(prompts, options);
    EXPECT_TRUE(texts.ok()) << texts.status();
    return texts.ok() ? *texts : std::vector<GeneratedText>(prompts.size());
  }
  absl::Status Refusal(const std::vector<std::vector<uint32_t>>& prompts,
                       const GenerationOptions& options) {
    return Generator(&sampler_, {4, kEnd, kPadding}).Continue(prompts, options).status();
  }

  ScriptedSampler sampler_;
};

TEST_F(GeneratorTest, ContextsStartBehindTheEndOfADocument) {
  Continue({{}, {7, 8, 9, 10}}, {.tokens = 4});
  EXPECT_THAT(sampler_.contexts_[0], ElementsAre(kEnd, kPadding, kPadding, kPadding));
  EXPECT_THAT(sampler_.contexts_[1], ElementsAre(kEnd, kPadding, kPadding, kPadding, 7, 8, 9, 10));
}

TEST_F(GeneratorTest, ATextEndsAtEndOfTextInsideAChunk) {
  sampler_.script[{0, 1}] = {5, kEnd, 6, 7};
  const auto text = Continue({{}}, {.tokens = 40})[0];
  EXPECT_THAT(text.ids, ElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ(text.end, TextEnd::kEndOfText);
  EXPECT_EQ(text.steps, 2);
  EXPECT_EQ(text.draws, 10);
}

TEST_F(GeneratorTest, PaddingIsLeftOut) {
  sampler_.script[{0, 0}] = {kPadding, 5, kPadding, 6};
  const auto text = Continue({{}}, {.tokens = 4})[0];
  EXPECT_THAT(text.ids, ElementsAre(5, 6));
  EXPECT_EQ(text.end, TextEnd::kLength);
}

TEST_F(GeneratorTest, FinishedTextsLeaveTheBatchAndTheOthersGoOn) {
  sampler_.script[{0, 1}] = {kEnd, 0, 0, 0};
  sampler_.script[{2, 0}] = {9, kEnd, 0, 0};
  sampler_.script[{1, 2}] = {8, 8, 8, 8};
  const auto texts = Continue({{}, {}, {}}, {.tokens = 12});
  EXPECT_THAT(sampler_.batches,
              ElementsAre(ElementsAre(0, 1, 2), ElementsAre(0, 1), ElementsAre(1)));
  EXPECT_THAT(texts[0].ids, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(texts[1].ids, ElementsAre(1, 2, 3, 4, 1, 2, 3, 4, 8, 8, 8, 8));
  EXPECT_THAT(texts[2].ids, ElementsAre(9));
  EXPECT_EQ(texts[1].steps_ran_out, 3);
  EXPECT_EQ(texts[0].steps_ran_out, 0);
}

TEST_F(GeneratorTest, InStepAllTextsTakeAllStepsAndAddNothingAfterTheirEnd) {
  sampler_.script[{0, 0}] = {9, kEnd, 5, 5};
  const auto texts = Continue({{}, {}}, {.tokens = 12, .in_step = true});
  EXPECT_THAT(sampler_.batches,
              ElementsAre(ElementsAre(0, 1), ElementsAre(0, 1), ElementsAre(0, 1)));
  EXPECT_THAT(texts[0].ids, ElementsAre(9));
  EXPECT_EQ(texts[0].end, TextEnd::kEndOfText);
  EXPECT_EQ(texts[1].ids.size(), 12u);
}

TEST_F(GeneratorTest, LeftoverTokensArePrefixOfTheFirstStepAndNotRepeated) {
  const auto text = Continue({{7, 7, 7, 7, 1, 2}}, {.tokens = 2})[0];
  EXPECT_THAT(sampler_.prefixes_seen, ElementsAre(ElementsAre(1, 2)));
  EXPECT_THAT(text.ids, ElementsAre(3, 4));
  EXPECT_EQ(text.steps, 1);
  const auto longer = Continue({{1, 2, 3}}, {.tokens = 5})[0];
  EXPECT_THAT(longer.ids, ElementsAre(4, 1, 2, 3, 4));
  EXPECT_THAT(sampler_.prefixes_seen, ElementsAre(IsEmpty()));
}

TEST_F(GeneratorTest, TheLastChunkIsCutToTheLength) {
  const auto text = Continue({{}}, {.tokens = 6})[0];
  EXPECT_THAT(text.ids, ElementsAre(1, 2, 3, 4, 1, 2));
  EXPECT_EQ(text.end, TextEnd::kLength);
}

TEST_F(GeneratorTest, PassesTokensOnAsTheyCome) {
  Generator generator(&sampler_, {4, kEnd, kPadding});
  const std::vector<std::vector<uint32_t>> prompts = {{5, 6}, {}};
  std::map<size_t, std::vector<uint32_t>> streamed;
  int calls = 0;
  const auto texts = generator.Continue(prompts, {.tokens = 8}, [&](size_t i, auto ids) {
    streamed[i].insert(streamed[i].end(), ids.begin(), ids.end());
    ++calls;
  });
  ASSERT_TRUE(texts.ok());
  EXPECT_EQ(streamed[0], (*texts)[0].ids);
  EXPECT_EQ(streamed[1], (*texts)[1].ids);
  EXPECT_EQ(calls, 3 + 2);
}

TEST_F(GeneratorTest, BadRequestsAreRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(Refusal({{}}, {.rule = {.temperature = 0.4}})));
  EXPECT_TRUE(absl::IsInvalidArgument(Refusal({{}}, {.rule = {.draws = 0}})));
  EXPECT_TRUE(absl::IsInvalidArgument(Refusal({{}}, {.tokens = 0})));
  EXPECT_TRUE(absl::IsInvalidArgument(Refusal({{99}}, {})));
  EXPECT_TRUE(absl::IsInvalidArgument(Refusal({}, {})));
}

}  // namespace
}  // namespace halcyon::worker
