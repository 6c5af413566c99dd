#include "jobs/stages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "jobs/stage_identity.h"

namespace halcyon::jobs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

using Kinds = std::set<StageKind>;

JobSpec Base() {
  JobSpec spec;
  spec.name = "base";
  spec.data.sources = {"/texts/a.txt", "/texts/b.txt"};
  return spec;
}

constexpr auto kTokenizer = StageKind::kTokenizer;
constexpr auto kTokens = StageKind::kTokens;
constexpr auto kAutoencoder = StageKind::kAutoencoder;
constexpr auto kLatents = StageKind::kLatents;
constexpr auto kModel = StageKind::kModel;
constexpr auto kEval = StageKind::kEval;

TEST(Stages, UntilOneAreThoseThatItNeeds) {
  JobSpec spec = Base();
  EXPECT_EQ(*StagesUntil(spec, ""), StagesOf(spec));
  EXPECT_THAT(*StagesUntil(spec, "tokenizer"), ElementsAre(kTokenizer));
  EXPECT_THAT(*StagesUntil(spec, "autoencoder"), ElementsAre(kTokenizer, kTokens, kAutoencoder));
  EXPECT_EQ(*StagesUntil(spec, "eval"), StagesOf(spec));
  spec.model.head = HeadKind::kSoftmax;
  EXPECT_THAT(*StagesUntil(spec, "model"), ElementsAre(kTokenizer, kTokens, kModel));
  for (const char* unknown : {"latents", "token"}) {
    const absl::Status status = StagesUntil(spec, unknown).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(MessageOf(status), "the job has no stage \"" + std::string(unknown) +
                                     "\"; its stages are tokenizer, tokens, model, eval");
  }
  spec = Base();
  spec.data.latents = LatentsRule::kRecompute;
  EXPECT_EQ(
      MessageOf(StagesUntil(spec, "latents").status()),
      "the job has no stage \"latents\"; its stages are tokenizer, tokens, autoencoder, model, "
      "eval; its model's ranks encode what they read (data.latents)");
}

TEST(Stages, ComeAfterTheirInputsAndHaveNamesThatReadBack) {
  const std::vector<std::string> names = {"tokenizer", "tokens", "autoencoder",
                                          "latents",   "model",  "eval"};
  Kinds before;
  for (size_t i = 0; i < kAllStages.size(); ++i) {
    for (const StageKind input : InputsOf(kAllStages[i], Base()))
      EXPECT_TRUE(before.contains(input));
    before.insert(kAllStages[i]);
    EXPECT_EQ(StageName(kAllStages[i]), names[i]);
    EXPECT_EQ(*StageFromName(names[i]), kAllStages[i]);
  }
  EXPECT_EQ(MessageOf(StageFromName("token").status()),
            "unknown stage \"token\"; it is one of tokenizer, tokens, autoencoder, latents, model, "
            "eval");
}

TEST(Stages, OfASoftmaxBaselineKnowNoLatents) {
  JobSpec spec = Base();
  spec.model.head = HeadKind::kSoftmax;
  EXPECT_THAT(StagesOf(spec), ElementsAre(kTokenizer, kTokens, kModel, kEval));
  EXPECT_THAT(InputsOf(kModel, spec), ElementsAre(kTokens));
  EXPECT_THAT(InputsOf(kEval, spec), ElementsAre(kTokens, kModel));
  EXPECT_EQ(StagesOf(Base()).size(), kAllStages.size());
  const std::map<StageKind, std::string> inputs = {{kTokens, "t"}};
  EXPECT_EQ(IdentityOf(kModel, spec, {}, inputs).fields.back(),
            (FingerprintField{"input.tokens", "t"}));
}

TEST(Stages, HaveTheInputsAndShapesOfTheHeader) {
  EXPECT_THAT(InputsOf(kTokenizer, Base()), IsEmpty());
  EXPECT_THAT(InputsOf(kTokens, Base()), UnorderedElementsAre(kTokenizer));
  EXPECT_THAT(InputsOf(kAutoencoder, Base()), UnorderedElementsAre(kTokens));
  EXPECT_THAT(InputsOf(kLatents, Base()), UnorderedElementsAre(kTokens, kAutoencoder));
  EXPECT_THAT(InputsOf(kModel, Base()), UnorderedElementsAre(kTokens, kLatents));
  EXPECT_THAT(InputsOf(kEval, Base()),
              UnorderedElementsAre(kTokens, kAutoencoder, kLatents, kModel));
  EXPECT_EQ(ShapeOf(kTokenizer), StageShape::kSingleTask);
  EXPECT_EQ(ShapeOf(kTokens), StageShape::kShardTasks);
  EXPECT_EQ(ShapeOf(kAutoencoder), StageShape::kGang);
  EXPECT_EQ(ShapeOf(kLatents), StageShape::kShardTasks);
  EXPECT_EQ(ShapeOf(kModel), StageShape::kGang);
  EXPECT_EQ(ShapeOf(kEval), StageShape::kSingleTask);
}

}  // namespace
}  // namespace halcyon::jobs
