#include "coordinator/work/continuation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace halcyon::coordinator {
namespace {

using jobs::StageIdentity;
using jobs::StageKind;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

StageIdentity Model(const std::string& steps, const std::string& decay = "constant",
                    const std::string& rate = "0.002") {
  return {StageKind::kModel,
          {{"version", "1"},
           {"train.steps", steps},
           {"train.learning_rate", rate},
           {"train.decay", decay},
           {"input.tokens", "5eed"}}};
}

WorkFolder Folder(const StageIdentity& made, std::vector<uint64_t> steps, bool finished = false) {
  WorkFolder folder;
  folder.kind = made.kind;
  folder.short_fingerprint = made.Fingerprint().substr(0, 16);
  folder.path = "/home/work/" + folder.short_fingerprint;
  folder.made = made;
  folder.steps = std::move(steps);
  folder.finished = finished;
  return folder;
}

std::vector<std::string> Descriptions(const Continuation& found) {
  std::vector<std::string> texts;
  for (const Donor& donor : found.donors) texts.push_back(Describe(donor));
  return texts;
}

TEST(ContinuationTest, RaisedStepsGoOnFromTheFurthestCheckpoint) {
  const WorkFolder shorter = Folder(Model("16"), {12, 16}, /*finished=*/true);
  const WorkFolder unfinished = Folder(Model("100"), {10, 20, 40});
  const Continuation found = FindContinuation(Model("30"), {shorter, unfinished});
  EXPECT_THAT(
      Descriptions(found),
      ElementsAre(
          "goes on from step 20 of the run with train.steps = 100, kept in " + unfinished.path,
          "goes on from step 16 of the run with train.steps = 16, kept in " + shorter.path,
          HasSubstr("step 12 of"), HasSubstr("step 10 of")));
  EXPECT_THAT(found.notes, IsEmpty());
  EXPECT_EQ(found.own_step, 0u);
}

TEST(ContinuationTest, ItsOwnWorkIsTakenWhenItIsAsFar) {
  const WorkFolder own = Folder(Model("30"), {8, 16});
  const WorkFolder shorter = Folder(Model("16"), {12, 16}, true);
  Continuation found = FindContinuation(Model("30"), {own, shorter});
  EXPECT_EQ(found.own_step, 16u);
  EXPECT_THAT(found.donors, IsEmpty());
  const WorkFolder further = Folder(Model("18"), {16, 18}, true);
  found = FindContinuation(Model("30"), {own, shorter, further});
  EXPECT_THAT(Descriptions(found), ElementsAre(HasSubstr("step 18 of")));
}

TEST(ContinuationTest, LoweredStepsGoOnFromACheckpointAtOrBeforeThem) {
  const WorkFolder longer = Folder(Model("100"), {20, 40});
  EXPECT_THAT(Descriptions(FindContinuation(Model("40"), {longer})),
              ElementsAre(HasSubstr("step 40 of"), HasSubstr("step 20 of")));
  EXPECT_THAT(Descriptions(FindContinuation(Model("39"), {longer})),
              ElementsAre(HasSubstr("step 20 of")));
  const Continuation none = FindContinuation(Model("19"), {longer});
  EXPECT_THAT(none.donors, IsEmpty());
  EXPECT_THAT(
      none.notes,
      ElementsAre("40 steps of the run with train.steps = 100 are kept in " + longer.path +
                  ", not used: the earliest checkpoint kept there is of step 20, later than "
                  "train.steps = 19"));
}

TEST(ContinuationTest, AScheduleThatDependsOnTheTotalStartsOverAndSaysWhy) {
  for (const std::string decay : {"cosine", "linear"}) {
    const WorkFolder shorter = Folder(Model("16", decay), {16}, /*finished=*/true);
    const Continuation found = FindContinuation(Model("30", decay), {shorter});
    EXPECT_THAT(found.donors, IsEmpty());
    EXPECT_THAT(found.notes,
                ElementsAre("16 steps of the run with train.steps = 16 are kept in " +
                            shorter.path + ", not used: with train.decay = \"" + decay +
                            "\" the learning rate of every step depends on train.steps"));
  }
}

TEST(ContinuationTest, UnfinishedWorkOfOtherSettingsIsNamed) {
  const WorkFolder other = Folder(Model("16", "constant", "0.001"), {8, 866});
  const Continuation found = FindContinuation(Model("16"), {other});
  EXPECT_THAT(found.donors, IsEmpty());
  EXPECT_THAT(found.notes,
              ElementsAre("unfinished: 866 steps with train.learning_rate = 0.001 are kept in " +
                          other.path + ", not used, because train.learning_rate changed"));
}

TEST(ContinuationTest, StepsAndAnotherSettingTogetherAreNoContinuation) {
  const WorkFolder other = Folder(Model("16", "constant", "0.001"), {16});
  const Continuation found = FindContinuation(Model("30"), {other});
  EXPECT_THAT(found.donors, IsEmpty());
  EXPECT_THAT(found.notes, ElementsAre(HasSubstr("because train.steps, train.learning_rate")));
  const WorkFolder cosine = Folder(Model("16", "cosine"), {16});
  EXPECT_THAT(FindContinuation(Model("30"), {cosine}).donors, IsEmpty())
      << "the steps done were of another schedule";
}

TEST(ContinuationTest, TheNearestIsNamedAndTheOthersAreCounted) {
  const WorkFolder far = Folder(Model("5", "linear", "0.3"), {4});
  const WorkFolder near = Folder(Model("16", "constant", "0.1"), {9});
  const WorkFolder also = Folder(Model("6", "linear", "0.4"), {4});
  EXPECT_THAT(FindContinuation(Model("16"), {far, near, also}).notes,
              ElementsAre(AllOf(HasSubstr("9 steps with train.learning_rate = 0.1"),
                                HasSubstr("2 more unfinished of this stage"))));
}

TEST(ContinuationTest, WorkWithoutARecordIsNamedAsSuch) {
  WorkFolder older = Folder(Model("5"), {4});
  older.made.reset();
  older.problem = "an older Halcyon made it without a record";
  EXPECT_THAT(FindContinuation(Model("16"), {older}).notes,
              ElementsAre("unfinished: 4 steps are kept in " + older.path +
                          ", not used: an older Halcyon made it without a record"));
  older.finished = true;
  EXPECT_THAT(FindContinuation(Model("16"), {older}).notes, IsEmpty());
}

TEST(ContinuationTest, FinishedAndEmptyAndOtherStagesAreNotNamed) {
  const StageIdentity tokens{StageKind::kTokens, {{"data.heldout", "0.1"}}};
  const StageIdentity not_begun{StageKind::kTokens, {{"data.heldout", "0.3"}}};
  std::vector<WorkFolder> folders = {
      Folder(Model("16", "constant", "0.1"), {16}, /*finished=*/true),
      Folder(Model("16", "constant", "0.2"), {}), Folder(tokens, {}), Folder(not_begun, {})};
  folders[2].has_shards = true;
  const Continuation found = FindContinuation(Model("16"), folders);
  EXPECT_THAT(found.notes, IsEmpty());
  EXPECT_THAT(found.donors, IsEmpty());
  EXPECT_THAT(FindContinuation({StageKind::kTokens, {{"data.heldout", "0.2"}}}, folders).notes,
              ElementsAre(HasSubstr("unfinished: tokens with data.heldout = 0.1 are kept in")));
}

TEST(ContinuationTest, TheAutoencodersStepsAreItsOwn) {
  const auto identity = [](const std::string& steps) {
    return StageIdentity{
        StageKind::kAutoencoder,
        {{"autoencoder.train.steps", steps}, {"autoencoder.train.decay", "constant"}}};
  };
  EXPECT_THAT(Descriptions(FindContinuation(identity("50"), {Folder(identity("20"), {20}, true)})),
              ElementsAre(HasSubstr("the run with autoencoder.train.steps = 20")));
}

}  // namespace
}  // namespace halcyon::coordinator
