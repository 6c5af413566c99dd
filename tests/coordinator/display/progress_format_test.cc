#include "coordinator/display/progress_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/display/progress_line.h"
#include "tests/coordinator/whole_graph.h"

namespace halcyon::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ProgressFormatTest, Durations) {
  EXPECT_EQ(FormatDuration(0), "0s");
  EXPECT_EQ(FormatDuration(59400), "59s");
  EXPECT_EQ(FormatDuration(60000), "1m 00s");
  EXPECT_EQ(FormatDuration(125000), "2m 05s");
  EXPECT_EQ(FormatDuration(3720000), "1h 02m");
  EXPECT_EQ(FormatDuration(47 * 3600000), "47h 00m");
  EXPECT_EQ(FormatDuration(76 * 3600000), "3d 04h");
  EXPECT_EQ(FormatDuration(-5), "0s");
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

// 480 steps in 240 s, a quarter done.
StageStatus Training() {
  StageStatus stage;
  stage.kind = jobs::StageKind::kModel;
  stage.label = "model";
  stage.state = jobs::StageState::kRunning;
  stage.step = 120;
  stage.steps = 480;
  stage.fraction = 0.25;
  stage.pace = 1.0 / 240;
  stage.figures = {{"loss", 1.23456}, {"tokens_per_s", 5321.0}};
  return stage;
}

TEST(ProgressFormatTest, TimeLeftIsAtThePresentPace) {
  StageStatus stage = Training();
  EXPECT_EQ(TimeLeftMs(stage), 180000);
  stage.pace = 0;
  EXPECT_EQ(TimeLeftMs(stage), std::nullopt) << "no pace yet";
  stage.pace = 1e-300;
  EXPECT_EQ(TimeLeftMs(stage), std::nullopt);
  stage = Training();
  stage.state = jobs::StageState::kDone;
  EXPECT_EQ(TimeLeftMs(stage), std::nullopt);
  stage = Training();
  stage.fraction = 1;
  EXPECT_EQ(TimeLeftMs(stage), 0);
}

TEST(ProgressFormatTest, StepTimes) {
  StageStatus stage = Training();
  const auto at = [&](double steps_per_s) {
    stage.pace = steps_per_s / 480;
    return FormatStepTime(stage);
  };
  EXPECT_EQ(at(1234), "1234 steps/s");
  EXPECT_EQ(at(12.34), "12.3 steps/s");
  EXPECT_EQ(at(2), "2 steps/s");
  EXPECT_EQ(at(0.5), "2 s/step");
  EXPECT_EQ(at(1 / 1.234), "1.23 s/step");
  EXPECT_EQ(at(1.0 / 125), "2m 05s/step");
  EXPECT_EQ(at(0), "");
  stage.steps = 0;
  stage.pace = 1;
  EXPECT_EQ(FormatStepTime(stage), "") << "a stage of tasks";
}

TEST(ProgressFormatTest, StageLines) {
  StageStatus stage = Training();
  EXPECT_EQ(FormatStageLine(stage, 200),
            "  model       [#####---------------]  25 %  step 120/480  2 steps/s  loss 1.2346"
            "  5.32k tokens/s  3m 00s left");
  stage.state = jobs::StageState::kDone;
  stage.started_ms = 1000;
  stage.ended_ms = 66000;
  EXPECT_EQ(FormatStageLine(stage, 200), "  model       done in 1m 05s");
  stage.state = jobs::StageState::kReused;
  EXPECT_EQ(FormatStageLine(stage, 200), "  model       reused");
  stage.state = jobs::StageState::kWaiting;
  stage.note = "";
  EXPECT_EQ(FormatStageLine(stage, 200), "  model       waiting");
  stage.note = "made by job b (pid 3 on n1)";
  EXPECT_EQ(FormatStageLine(stage, 200), "  model       waiting, made by job b (pid 3 on n1)");
  stage.state = jobs::StageState::kFailed;
  stage.note = "no space\nleft";
  EXPECT_EQ(FormatStageLine(stage, 200), "  model       failed: no space left");
  EXPECT_EQ(FormatStageLine(stage, 17), "  model       fai");
  StageStatus shards;
  shards.kind = jobs::StageKind::kTokens;
  shards.label = "tokens";
  shards.state = jobs::StageState::kRunning;
  shards.tasks = 12;
  shards.tasks_done = 5;
  shards.fraction = 0.5;
  shards.pace = 0.01;
  EXPECT_EQ(FormatStageLine(shards, 80),
            "  tokens      [##########----------]  50 %  shard 5/12  50s left");
}

// The step time, the loss and the time left matter most to a person.
TEST(ProgressFormatTest, WhatMattersIsShownAtEveryWidth) {
  StageStatus slow = Training();
  slow.kind = jobs::StageKind::kAutoencoder;
  slow.label = "autoencoder";
  slow.steps = 1'000'000'000;
  slow.step = 123'456'789;
  slow.fraction = 0.1234;
  slow.pace = 1.0 / 8e9;  // 8 s a step
  slow.figures = {{"loss", 12345.678}, {"reconstruction", 0.9876}, {"tokens_per_s", 123456.0}};
  for (const auto& [stage, wide, narrow] :
       {std::tuple{Training(), std::vector<std::string>{"2 steps/s", "loss 1.2346", "3m 00s left"},
                   "2/s 1.23 3m00s"},
        {slow, {"8 s/step", "loss 12345.6780"}, "8s 1.23e+04"}}) {
    for (int width = 20; width <= 200; ++width) {
      const std::string line = FormatStageLine(stage, width);
      EXPECT_LE(ColumnsOf(line), static_cast<size_t>(width));
      if (line == narrow) continue;
      for (const std::string& part : wide) EXPECT_THAT(line, HasSubstr(part)) << width;
    }
    EXPECT_EQ(FormatStageLine(stage, 20), narrow);
    EXPECT_NE(FormatStageLine(stage, 45), narrow);
  }
}

TEST(ProgressFormatTest, TheRestGoesOneByOne) {
  const StageStatus stage = Training();
  EXPECT_EQ(FormatStageLine(stage, 79),
            "  model        25 %  step 120/480  2 steps/s  loss 1.2346  3m 00s left");
  EXPECT_EQ(FormatStageLine(stage, 60), "  model        25 %  2 steps/s  loss 1.2346  3m 00s left");
  EXPECT_EQ(FormatStageLine(stage, 50), "  model       2 steps/s  loss 1.2346  3m 00s left");
  EXPECT_EQ(FormatStageLine(stage, 40), "2 steps/s  loss 1.2346  3m 00s left");
}

JobStatus Running() {
  JobStatus status = NewJobStatus("quick-1", "quick", WholeGraph());
  status.state = jobs::JobState::kRunning;
  status.Stage(jobs::StageKind::kModel) = Training();
  status.Stage(jobs::StageKind::kModel).figures["eval"] = {
      {"heldout_loss", 2.5},
      {"brier_lm", 3.25},
      {"low", 2.5},
      {"high", 4.0},
      {"samples", {{{"prompt", "a\x1b[2J"}, {"text", "\xC3\xA9t\xC3\xA9\n"}}}}};
  return status;
}

TEST(ProgressFormatTest, TheBlockShowsTheLastEvaluationWithoutControlCharacters) {
  const auto lines = FormatBlock(Running(), 61000, 80, 100);
  ASSERT_EQ(lines.size(), 1 + jobs::kAllStages.size() + 2);
  EXPECT_EQ(lines[0], "quick-1  running  1m 01s");
  EXPECT_EQ(lines[6], "    last evaluation:  held-out 2.5000  BrierLM 3.25 (2.50 to 4.00)");
  EXPECT_EQ(lines[7], "    > a [2J | \xC3\xA9t\xC3\xA9 ");
}

TEST(ProgressFormatTest, TheGraphNamesWhatAStageIsMadeFrom) {
  EXPECT_THAT(
      FormatGraph(NewJobStatus("j", "j", WholeGraph()), 80),
      ElementsAre("  tokens      from tokenizer", "  autoencoder from tokens",
                  "  latents     from tokens, autoencoder", "  model       from tokens, latents",
                  "  eval        from tokens, autoencoder, latents, model"));
  EXPECT_EQ(FormatGraph(NewJobStatus("j", "j", WholeGraph()), 20)[2], "  latents     from t");
}

TEST(ProgressFormatTest, AVariantIsShownByItsLabel) {
  StageStatus stage = Training();
  stage.label = "model-3f2a91c0";
  EXPECT_THAT(FormatRunning(stage), HasSubstr("  model-3f2a91c0  25 %"));
}

TEST(ProgressFormatTest, ALowTerminalShowsWhatRuns) {
  const auto lines = FormatBlock(Running(), 61000, 80, 100);
  const std::string model = lines[5], evaluation = lines[6];
  EXPECT_EQ(FormatBlock(Running(), 61000, 80, 8).size(), 8u) << "the sample went";
  EXPECT_THAT(FormatBlock(Running(), 61000, 80, 2), ElementsAre(lines[0], model));
  EXPECT_THAT(FormatBlock(Running(), 61000, 80, 1), ElementsAre(model));
  EXPECT_THAT(FormatBlock(Running(), 61000, 80, 0), ElementsAre(model));
}

TEST(ProgressFormatTest, ALongJobNameDoesNotHideItsState) {
  JobStatus status = NewJobStatus(std::string(109, 'n'), "n", WholeGraph());
  status.state = jobs::JobState::kRunning;
  const auto lines = FormatBlock(status, 61000, 40, 100);
  EXPECT_EQ(lines[0], std::string(40 - 17, 'n') + "  running  1m 01s");
}

TEST(ProgressFormatTest, AStageOfAStoppedJobShowsNoTimeLeft) {
  JobStatus status = Running();
  status.state = jobs::JobState::kPreempted;
  status.Stage(jobs::StageKind::kModel).state = jobs::StageState::kInterrupted;
  const auto lines = FormatBlock(status, 61000, 80, 100);
  EXPECT_EQ(lines[5],
            "  model       interrupted at 25 %  step 120/480  loss 1.2346  5.32k tokens/s");
}

TEST(ProgressFormatTest, ASummaryLineSaysWhenAndWhere) {
  JobStatus status = Running();
  // date -u -d '2026-01-31 12:00' +%s
  status.started_ms = 1769860800000 - 3 * 3600000;
  EXPECT_EQ(FormatSummaryLine(status, 1769860800000),
            "2026-01-31 12:00 UTC  quick-1  after 3h 00m: model   25 %  step 120/480  2 steps/s"
            "  loss 1.2346  5.32k tokens/s  3m 00s left"
            "  last evaluation:  held-out 2.5000  BrierLM 3.25 (2.50 to 4.00)");
}

}  // namespace
}  // namespace halcyon::coordinator
