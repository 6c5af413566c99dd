#include "coordinator/display/explain.h"

#include <gtest/gtest.h>

#include "coordinator/stages/stage_plan.h"

namespace halcyon::coordinator {
namespace {

using jobs::FingerprintField;
using jobs::StageKind;

storage::ArtifactRecord Made(StageKind kind, const std::string& path,
                             std::vector<FingerprintField> fields) {
  storage::ArtifactRecord record;
  record.kind = kind;
  record.path = path;
  record.fields = std::move(fields);
  return record;
}

TEST(ExplainTest, TheNearestIsTheOneWithTheFewestDifferences) {
  const jobs::StageIdentity wanted{StageKind::kModel, {{"a", "1"}, {"b", "2"}, {"c", "3"}}};
  const std::vector<storage::ArtifactRecord> earlier = {
      Made(StageKind::kTokens, "other kind", {{"a", "1"}, {"b", "2"}, {"c", "3"}}),
      Made(StageKind::kModel, "two", {{"a", "1"}, {"b", "9"}, {"c", "9"}}),
      Made(StageKind::kModel, "one, newer", {{"a", "1"}, {"b", "2"}, {"c", "9"}}),
      Made(StageKind::kModel, "one, older", {{"a", "1"}, {"b", "9"}, {"c", "3"}})};
  ASSERT_NE(NearestArtifact(wanted, earlier), nullptr);
  EXPECT_EQ(NearestArtifact(wanted, earlier)->path, "one, newer");
  EXPECT_EQ(WhyMade(wanted, earlier), "changed: c: 9 -> 3");
  EXPECT_EQ(WhyMade(wanted, {}), "none made before");
}

TEST(ExplainTest, DigestsAreShortAndLongListsCounted) {
  EXPECT_EQ(Describe({{"input.tokens", std::string(64, 'a'), std::string(64, 'b')}}),
            "input.tokens: aaaaaaaa -> bbbbbbbb");
  EXPECT_EQ(Describe({{"source[1].sha256", "", "x"}}), "source[1].sha256: (none) -> x");
  std::vector<jobs::FieldDifference> many(9, {"k", "1", "2"});
  const std::string text = Describe(many);
  EXPECT_TRUE(text.ends_with(" and 3 more")) << text;
}

PlannedStage Planned(jobs::StageKind kind, std::vector<jobs::FingerprintField> fields) {
  PlannedStage stage;
  stage.kind = kind;
  stage.identity = {kind, std::move(fields)};
  return stage;
}

TEST(ExplainTest, TwoJobsAreComparedStageByStage) {
  const std::vector<PlannedStage> first = {
      Planned(jobs::StageKind::kTokens, {{"a", "1"}}),
      Planned(jobs::StageKind::kLatents, {{"c", "1"}}),
      Planned(jobs::StageKind::kModel, {{"b", "1"}, {"only.first", "2"}})};
  const std::vector<PlannedStage> second = {Planned(jobs::StageKind::kTokens, {{"a", "1"}}),
                                            Planned(jobs::StageKind::kModel, {{"b", "3"}}),
                                            Planned(jobs::StageKind::kEval, {{"d", "1"}})};
  const auto stages = CompareStages(first, second);
  ASSERT_EQ(stages.size(), 4u);
  EXPECT_EQ(stages[0].kind, jobs::StageKind::kTokens);
  EXPECT_TRUE(stages[0].fields.empty() && stages[0].only_in == 0);
  EXPECT_EQ(stages[1].only_in, 1);
  EXPECT_EQ(Describe(stages[2].fields), "b: 1 -> 3, only.first: 2 -> (none)");
  EXPECT_EQ(stages[3].only_in, 2);
}

TEST(ExplainTest, AnInputThatIsToBeMadeIsShownWithItsFirstDigits) {
  const std::string digest(64, 'a');
  EXPECT_EQ(Describe({{"input.tokens", digest, kToBeMade + std::string(64, 'b')}}),
            "input.tokens: aaaaaaaa -> (to be made) bbbbbbbb");
}

}  // namespace
}  // namespace halcyon::coordinator
