// A run of a job that ends with a stage before its last one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/run_fixture.h"

namespace halcyon::coordinator {
namespace {

using jobs::StageKind;
using jobs::StageState;
using ::testing::ElementsAre;

class UntilTest : public JobRunTest {
 protected:
  jobs::JobState EndState() { return All<effect::MoveJob>().back().state; }
};

TEST_F(UntilTest, MakesTheStageAndWhatItNeedsAndIsPartialThen) {
  limits_.until = StageKind::kTokens;
  Begin();
  FinishTasks();
  PassMs(kAgentEndMsMax);
  EXPECT_TRUE(Ended(absl::StatusCode::kOk)) << HowItEnded();
  EXPECT_EQ(EndState(), jobs::JobState::kPartial);
  EXPECT_EQ(StateOf(Node("tokens")), StageState::kDone);
  EXPECT_EQ(StateOf(Node("autoencoder")), StageState::kWaiting);
  EXPECT_FALSE(Has<effect::PrepareLaunch>());
}

TEST_F(UntilTest, LooksForTheOthersWithoutAClaim) {
  limits_.until = StageKind::kTokens;
  made_ = {"of tokenizer", "of autoencoder"};
  Begin();
  FinishTasks();
  PassMs(kAgentEndMsMax);
  EXPECT_EQ(StateOf(Node("autoencoder")), StageState::kReused);
  EXPECT_EQ(StateOf(Node("latents")), StageState::kWaiting);
  std::vector<std::string> shown;
  for (const auto& show : All<effect::ShowFingerprint>()) shown.push_back(show.fingerprint);
  EXPECT_THAT(shown, ElementsAre("of tokenizer", "of tokens", "of autoencoder", "of latents"))
      << "what there is of them stays the job's";
  EXPECT_THAT(claimed_, ElementsAre("tokenizer", "tokens"));
  EXPECT_EQ(EndState(), jobs::JobState::kPartial);
}

TEST_F(UntilTest, AJobOfWhichAllIsMadeIsDone) {
  limits_.until = StageKind::kTokenizer;
  for (const StageKind kind : jobs::kAllStages) {
    made_.insert("of " + std::string(jobs::StageName(kind)));
  }
  Begin();
  EXPECT_EQ(EndState(), jobs::JobState::kDone);
  EXPECT_EQ(StateOf(Node("eval")), StageState::kReused);
}

TEST_F(UntilTest, WhatIsOnlyLookedForMayBeDamaged) {
  limits_.until = StageKind::kTokens;
  made_ = {"of tokenizer", "of tokens"};
  find_errors_["of autoencoder"] = DataLoss("artifact.json is cut");
  Begin();
  EXPECT_TRUE(Ended(absl::StatusCode::kOk)) << HowItEnded();
  EXPECT_EQ(Only<effect::LogWarning>().line, "artifact.json is cut");
  find_errors_["of tokens"] = DataLoss("artifact.json is cut");
  states_.clear();
  Begin();
  EXPECT_TRUE(Ended(absl::StatusCode::kDataLoss)) << "that one is needed";
}

TEST_F(UntilTest, AStopIsNoEnd) {
  limits_.until = StageKind::kTokens;
  Begin();
  Stop(2);
  EXPECT_TRUE(Ended(absl::StatusCode::kAborted, "tokenizer: stopped")) << HowItEnded();
  EXPECT_EQ(EndState(), jobs::JobState::kPreempted);
}

}  // namespace
}  // namespace halcyon::coordinator
