#include "coordinator/explain.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace halcyon::coordinator
