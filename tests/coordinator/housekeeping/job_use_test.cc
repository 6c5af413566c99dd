#include "coordinator/housekeeping/job_use.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/whole_graph.h"

namespace halcyon::coordinator {
namespace {

using jobs::StageKind;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// A fingerprint whose first 16 digits are all `digit`.
std::string Fingerprint(char digit) { return std::string(64, digit); }
StageKey Key(StageKind kind, char digit) { return {kind, std::string(16, digit)}; }

storage::ArtifactRecord Artifact(StageKind kind, char digit, const std::string& job_id,
                                 const std::string& digest,
                                 const std::vector<std::string>& inputs = {}) {
  storage::ArtifactRecord record;
  record.kind = kind;
  record.fingerprint = Fingerprint(digit);
  record.content_digest = digest;
  record.job_id = job_id;
  for (const std::string& input : inputs) record.fields.push_back({"input.any", input});
  return record;
}

WorkFolder Work(StageKind kind, char digit, const std::string& job_id,
                const std::vector<std::string>& inputs = {}) {
  WorkFolder folder;
  folder.kind = kind;
  folder.short_fingerprint = std::string(16, digit);
  folder.job_id = job_id;
  folder.made = jobs::StageIdentity{kind, {}};
  for (const std::string& input : inputs) folder.made->fields.push_back({"input.any", input});
  return folder;
}

TEST(JobUseTest, AStatusUsesTheStagesWhoseFingerprintsAreKnown) {
  JobStatus status = NewJobStatus("a", "a", WholeGraph());
  status.Stage(StageKind::kTokens).fingerprint = Fingerprint('1');
  EXPECT_THAT(UsedBy(status), ElementsAre(Key(StageKind::kTokens, '1')));
}

TEST(JobUseTest, WhatAnotherJobsRecordNamesStays) {
  HomeContents contents;
  contents.jobs = {{"a", {Key(StageKind::kTokens, '1'), Key(StageKind::kModel, '2')}},
                   {"b", {Key(StageKind::kTokens, '1')}}};
  contents.artifacts = {Artifact(StageKind::kTokens, '1', "a", "d1"),
                        Artifact(StageKind::kModel, '2', "a", "d2", {"d1"})};
  const JobParts parts = PartsOf("a", contents);
  EXPECT_THAT(parts.removable, ElementsAre(Key(StageKind::kModel, '2')));
  EXPECT_THAT(parts.needed, ElementsAre(Pair(Key(StageKind::kTokens, '1'), "job b")));
}

TEST(JobUseTest, EarlierSettingsOfTheJobGoWithIt) {
  HomeContents contents;
  contents.jobs = {{"a", {Key(StageKind::kModel, '2')}}, {"b", {}}};
  contents.artifacts = {Artifact(StageKind::kModel, '2', "a", "d2"),
                        Artifact(StageKind::kModel, '3', "a", "d3"),
                        Artifact(StageKind::kModel, '4', "b", "d4")};
  contents.work = {Work(StageKind::kModel, '5', "a"), Work(StageKind::kModel, '6', "b"),
                   Work(StageKind::kModel, '7', "")};
  EXPECT_THAT(PartsOf("a", contents).removable,
              UnorderedElementsAre(Key(StageKind::kModel, '2'), Key(StageKind::kModel, '3'),
                                   Key(StageKind::kModel, '5')));
}

// b's model is of settings that b's record does not name any more, but it is kept, and so is what
// `generate` needs beside it.
TEST(JobUseTest, WhatStaysKeepsWhatItWasMadeFrom) {
  HomeContents contents;
  contents.jobs = {{"a",
                    {Key(StageKind::kTokenizer, '0'), Key(StageKind::kTokens, '1'),
                     Key(StageKind::kAutoencoder, '2'), Key(StageKind::kModel, '5')}},
                   {"b", {}}};
  contents.artifacts = {Artifact(StageKind::kTokenizer, '0', "a", "d0"),
                        Artifact(StageKind::kTokens, '1', "a", "d1", {"d0"}),
                        Artifact(StageKind::kAutoencoder, '2', "a", "d2", {"d1"}),
                        Artifact(StageKind::kModel, '3', "b", "d3", {"d2"}),
                        Artifact(StageKind::kModel, '5', "a", "d5", {"d2"})};
  const JobParts parts = PartsOf("a", contents);
  EXPECT_THAT(parts.removable, ElementsAre(Key(StageKind::kModel, '5')));
  EXPECT_EQ(parts.needed.at(Key(StageKind::kAutoencoder, '2')), "model 3333333333333333");
  EXPECT_EQ(parts.needed.at(Key(StageKind::kTokens, '1')), "autoencoder 2222222222222222");
  EXPECT_EQ(parts.needed.at(Key(StageKind::kTokenizer, '0')), "tokens 1111111111111111");
}

TEST(JobUseTest, UnfinishedWorkOfAnotherKeepsItsInputs) {
  HomeContents contents;
  contents.jobs = {{"a", {Key(StageKind::kTokens, '1')}}};
  contents.artifacts = {Artifact(StageKind::kTokens, '1', "a", "d1")};
  contents.work = {Work(StageKind::kAutoencoder, '2', "b", {"d1"})};
  EXPECT_THAT(PartsOf("a", contents).removable, IsEmpty());
  contents.work[0].job_id = "a";
  EXPECT_EQ(PartsOf("a", contents).removable.size(), 2u);
}

}  // namespace
}  // namespace halcyon::coordinator
