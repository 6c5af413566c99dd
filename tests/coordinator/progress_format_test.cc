#include <gtest/gtest.h>
#include <unistd.h>

#include "coordinator/progress_view.h"

namespace halcyon::coordinator {
namespace {

TEST(ProgressFormatTest, Durations) {
  EXPECT_EQ(FormatDuration(-5), "0s");
  EXPECT_EQ(FormatDuration(499), "0s");
  EXPECT_EQ(FormatDuration(3200), "3s");
  EXPECT_EQ(FormatDuration(59600), "1m 00s");
  EXPECT_EQ(FormatDuration(125000), "2m 05s");
  EXPECT_EQ(FormatDuration(3720000), "1h 02m");
}

TEST(ProgressFormatTest, Counts) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(950), "950");
  EXPECT_EQ(FormatCount(1234), "1.23k");
  EXPECT_EQ(FormatCount(12345), "12.3k");
  EXPECT_EQ(FormatCount(123456), "123k");
  EXPECT_EQ(FormatCount(4560000), "4.56M");
}

TEST(ProgressFormatTest, Bars) {
  EXPECT_EQ(FormatBar(0, 4), "[----]");
  EXPECT_EQ(FormatBar(0.5, 4), "[##--]");
  EXPECT_EQ(FormatBar(0.99, 4), "[###-]") << "full only at the end";
  EXPECT_EQ(FormatBar(1, 4), "[####]");
  EXPECT_EQ(FormatBar(3, 4), "[####]");
  EXPECT_EQ(FormatBar(-1, 4), "[----]");
}

StageStatus Training() {
  StageStatus stage;
  stage.kind = jobs::StageKind::kModel;
  stage.state = jobs::StageState::kRunning;
  stage.step = 120;
  stage.steps = 480;
  stage.fraction = 0.25;
  stage.started_ms = 1000;
  stage.figures = {{"loss", 1.23456}, {"tokens_per_s", 5321.0}};
  return stage;
}

TEST(ProgressFormatTest, TimeLeftIsAtThePaceOfThisRun) {
  StageStatus stage = Training();
  EXPECT_EQ(TimeLeftMs(stage, 1000 + 60000), 180000);
  // Taken over at 20 %: 5 % took a minute, 75 % are left.
  stage.start_fraction = 0.20;
  EXPECT_NEAR(*TimeLeftMs(stage, 1000 + 60000), 15 * 60000, 1);
  stage.start_fraction = 0.25;
  EXPECT_EQ(TimeLeftMs(stage, 1000 + 60000), std::nullopt) << "no pace yet";
  stage = Training();
  stage.state = jobs::StageState::kDone;
  EXPECT_EQ(TimeLeftMs(stage, 1000 + 60000), std::nullopt);
}

TEST(ProgressFormatTest, StageLines) {
  StageStatus stage = Training();
  EXPECT_EQ(FormatStageLine(stage, 61000, 200),
            "  model       [#####---------------]  25 %  step 120/480  loss 1.2346"
            "  5.32k tokens/s  3m 00s left");
  EXPECT_EQ(FormatStageLine(stage, 61000, 10), "  model   ");
  stage.state = jobs::StageState::kDone;
  stage.ended_ms = 66000;
  EXPECT_EQ(FormatStageLine(stage, 0, 200), "  model       done in 1m 05s");
  stage.state = jobs::StageState::kReused;
  EXPECT_EQ(FormatStageLine(stage, 0, 200), "  model       reused");
  stage.state = jobs::StageState::kFailed;
  stage.note = "no space\nleft";
  EXPECT_EQ(FormatStageLine(stage, 0, 200), "  model       failed: no space left");
  StageStatus shards;
  shards.kind = jobs::StageKind::kTokens;
  shards.state = jobs::StageState::kRunning;
  shards.tasks = 12;
  shards.tasks_done = 5;
  EXPECT_NE(FormatStageLine(shards, 0, 200).find("shard 5/12"), std::string::npos);
}

TEST(ProgressFormatTest, TheBlockShowsTheLastEvaluationWithoutControlCharacters) {
  JobStatus status = NewJobStatus("quick-1", "quick");
  status.Stage(jobs::StageKind::kModel) = Training();
  status.Stage(jobs::StageKind::kModel).figures["eval"] = {
      {"heldout_loss", 2.5},
      {"brier_lm", 3.25},
      {"low", 2.5},
      {"high", 4.0},
      {"samples", {{{"prompt", "a\x1b[2J"}, {"text", "\xC3\xA9t\xC3\xA9\n"}}}}};
  const auto lines = FormatBlock(status, 61000, 80);
  ASSERT_EQ(lines.size(), 1 + jobs::kAllStages.size() + 2);
  EXPECT_EQ(lines[6], "    last evaluation:  held-out 2.5000  BrierLM 3.25 (2.50 to 4.00)");
  EXPECT_EQ(lines[7], "    > a [2J | \xC3\xA9t\xC3\xA9 ");
}

TEST(ProgressFormatTest, AStageOfAStoppedJobPromisesNoTime) {
  JobStatus status = NewJobStatus("quick-1", "quick");
  status.state = jobs::JobState::kPreempted;
  status.Stage(jobs::StageKind::kModel) = Training();
  const auto lines = FormatBlock(status, 61000, 80);
  EXPECT_EQ(lines[5], "  model       stopped at 25 %  step 120/480  loss 1.2346  5.32k tokens/s");
}

TEST(ProgressFormatTest, AWidthIsInCharacters) {
  JobStatus status = NewJobStatus("j", "j");
  StageStatus& stage = status.Stage(jobs::StageKind::kModel);
  stage.state = jobs::StageState::kFailed;
  stage.note = "\xC3\xA9\xC3\xA9\xC3\xA9";
  EXPECT_EQ(FormatStageLine(stage, 0, 24), "  model       failed: \xC3\xA9\xC3\xA9");
}

// What a view prints, in a file of its own.
class ProgressViewTest : public testing::Test {
 protected:
  ProgressViewTest() : file_(std::tmpfile()) {}
  ~ProgressViewTest() override { std::fclose(file_); }
  std::string Printed() {
    std::fflush(file_);
    std::string text(static_cast<size_t>(std::ftell(file_)), '\0');
    EXPECT_EQ(pread(fileno(file_), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    return text;
  }

  SimulatedClock clock_{100000};
  std::FILE* file_;
};

TEST_F(ProgressViewTest, PlainLinesComeOnChangesAndNowAndThen) {
  JobStatus status = NewJobStatus("j", "j");
  ProgressView view(&clock_, file_, /*width=*/0);
  status.Stage(jobs::StageKind::kTokenizer).state = jobs::StageState::kReused;
  status.Stage(jobs::StageKind::kTokens).state = jobs::StageState::kRunning;
  status.Stage(jobs::StageKind::kTokens).started_ms = clock_.WallMs();
  view.Changed(status);
  EXPECT_EQ(Printed(), "  tokenizer   reused\n");
  clock_.AdvanceMs(100);
  view.Changed(status);
  EXPECT_EQ(Printed(), "  tokenizer   reused\n") << "too soon";
  clock_.AdvanceMs(5000);
  status.Stage(jobs::StageKind::kTokens).fraction = 0.5;
  view.Changed(status);
  EXPECT_EQ(Printed(), "  tokenizer   reused\n  tokens       50 %  5s left\n");
}

TEST_F(ProgressViewTest, ATerminalsBlockIsDrawnOverItself) {
  JobStatus status = NewJobStatus("j", "j");
  ProgressView view(&clock_, file_, /*width=*/40);
  view.Changed(status);
  clock_.AdvanceMs(1000);
  view.Say("agent-1 ended");
  const std::string printed = Printed();
  EXPECT_NE(printed.find("\x1b[7A\x1b[Jagent-1 ended\nj  queued"), std::string::npos) << printed;
}

}  // namespace
}  // namespace halcyon::coordinator
