#include "coordinator/display/progress_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>

#include "tests/coordinator/whole_graph.h"

namespace halcyon::coordinator {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// What a view prints, in a file of its own.
class ProgressViewTest : public testing::Test {
 protected:
  ProgressViewTest() : file_(std::tmpfile()) {}
  ~ProgressViewTest() override { std::fclose(file_); }

  // Since the last call.
  std::string Printed() {
    std::fflush(file_);
    std::string text(static_cast<size_t>(std::ftell(file_)) - read_, '\0');
    EXPECT_EQ(pread(fileno(file_), text.data(), text.size(), static_cast<off_t>(read_)),
              static_cast<ssize_t>(text.size()));
    read_ += text.size();
    return text;
  }
  std::unique_ptr<ProgressView> View() {
    return std::make_unique<ProgressView>(&clock_, file_, [this] { return size_; });
  }
  static size_t Lines(const std::string& text) {
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }

  SimulatedClock clock_{100000};
  std::FILE* file_;
  TerminalSize size_;
  size_t read_ = 0;
};

TEST_F(ProgressViewTest, PlainLinesComeOnChangesAndNowAndThen) {
  JobStatus status = NewJobStatus("j", "j", WholeGraph());
  const auto view = View();
  status.Stage(jobs::StageKind::kTokenizer).state = jobs::StageState::kReused;
  status.Stage(jobs::StageKind::kTokens).state = jobs::StageState::kRunning;
  view->Changed(status);
  EXPECT_EQ(Printed(), "  tokenizer   reused\n");
  clock_.AdvanceMs(100);
  view->Changed(status);
  EXPECT_EQ(Printed(), "") << "too soon";
  clock_.AdvanceMs(5000);
  status.Stage(jobs::StageKind::kTokens).fraction = 0.5;
  status.Stage(jobs::StageKind::kTokens).pace = 0.1;
  view->Changed(status);
  EXPECT_EQ(Printed(), "  tokens       50 %  5s left\n");
  status.Stage(jobs::StageKind::kTokens).state = jobs::StageState::kDone;
  view->Changed(status);
  EXPECT_EQ(Printed(), "  tokens      done in 0s\n");
}

TEST_F(ProgressViewTest, ALogShowsEveryStageThatRuns) {
  JobStatus status = NewJobStatus("j", "j", WholeGraph());
  status.Stage(jobs::StageKind::kAutoencoder).label = "autoencoder-a";
  status.Stage(jobs::StageKind::kModel).kind = jobs::StageKind::kAutoencoder;
  status.stages[4].label = "autoencoder-b";
  const auto view = View();
  status.stages[2].state = status.stages[4].state = jobs::StageState::kRunning;
  view->Changed(status);
  clock_.AdvanceMs(5000);
  view->Changed(status);
  EXPECT_EQ(Printed(), "  autoencoder-a   0 %\n  autoencoder-b   0 %\n");
  status.stages[2].state = jobs::StageState::kDone;
  view->Changed(status);
  EXPECT_EQ(Printed(), "  autoencoder-a done in 0s\n");
}

TEST_F(ProgressViewTest, ALogOfALongJobStaysShort) {
  JobStatus status = NewJobStatus("j", "j", WholeGraph());
  const auto view = View();
  status.Stage(jobs::StageKind::kModel).state = jobs::StageState::kRunning;
  std::vector<size_t> lines_of_minute;
  size_t summaries = 0;
  for (int minute = 0; minute < 180; ++minute) {
    for (int tick = 0; tick < 60; ++tick) {
      view->Changed(status);
      clock_.AdvanceMs(1000);
    }
    const std::string text = Printed();
    lines_of_minute.push_back(Lines(text));
    if (text.find("UTC") != std::string::npos) ++summaries;
  }
  // After 5 s, 15, 35, 75, 135, and each minute from there on.
  EXPECT_EQ(lines_of_minute[0], 3u);
  for (size_t minute = 2; minute < 180; ++minute) EXPECT_LE(lines_of_minute[minute], 2u) << minute;
  EXPECT_EQ(std::accumulate(lines_of_minute.begin(), lines_of_minute.end(), size_t{0}), 182u);
  EXPECT_EQ(summaries, 2u) << "an hour, two hours";
}

TEST_F(ProgressViewTest, ALogGetsEachEvaluationOnce) {
  JobStatus status = NewJobStatus("j", "j", WholeGraph());
  const auto view = View();
  StageStatus& stage = status.Stage(jobs::StageKind::kModel);
  stage.state = jobs::StageState::kRunning;
  for (const double loss : {2.5, 2.5, 2.25}) {
    stage.figures["eval"] = {{"heldout_loss", loss}};
    view->Changed(status);
    clock_.AdvanceMs(10);
  }
  EXPECT_EQ(Printed(),
            "  model         0 %\n    evaluation:  held-out 2.5000\n"
            "  model         0 %\n    evaluation:  held-out 2.2500\n");
}

TEST_F(ProgressViewTest, ATerminalsBlockIsDrawnOverItself) {
  size_ = {40, 24};
  JobStatus status = NewJobStatus("j", "j", WholeGraph());
  const auto view = View();
  view->Changed(status);
  Printed();
  clock_.AdvanceMs(100);
  view->Changed(status);
  EXPECT_EQ(Printed(), "") << "too soon";
  clock_.AdvanceMs(1000);
  view->Notify("agent-1\x1b[2J ended");
  // From the line's start: a ^C that the terminal showed has moved the cursor.
  const std::string printed = Printed();
  EXPECT_THAT(printed,
              StartsWith("\r\x1b[7Aagent-1\\x1b[2J ended\x1b[K\nj  queued  1m 41s\x1b[K\n"));
  EXPECT_THAT(printed, EndsWith("  eval        waiting\x1b[K\n\x1b[J"));
}

TEST_F(ProgressViewTest, ANewSizeIsFollowedWithoutLitter) {
  size_ = {100, 24};
  JobStatus status = NewJobStatus("j", "j", WholeGraph());
  StageStatus& stage = status.Stage(jobs::StageKind::kModel);
  stage.state = jobs::StageState::kRunning;
  stage.steps = 100;
  stage.figures = {{"loss", 1.5}, {"tokens_per_s", 5321.0}};
  const auto view = View();
  view->Changed(status);
  const std::string wide =
      "  model       [--------------------]   0 %  step 0/100  loss 1.5000  5.32k tokens/s";
  EXPECT_THAT(Printed(), HasSubstr(wide + "\x1b[K\n"));
  // A terminal of 34 columns shows that line in three rows; the six others take one each.
  ASSERT_GT(wide.size(), 68u);
  ASSERT_LE(wide.size(), 102u);
  size_ = {34, 24};
  clock_.AdvanceMs(1000);
  view->Changed(status);
  const std::string narrow = Printed();
  EXPECT_THAT(narrow, StartsWith("\r\x1b[9Aj"));
  EXPECT_THAT(narrow, HasSubstr("  model         0 %  loss 1.5000\x1b[K\n")) << narrow;
  size_ = {100, 5};
  clock_.AdvanceMs(1000);
  view->Changed(status);
  const std::string low = Printed();
  EXPECT_THAT(low, StartsWith("\r\x1b[7Aj"));
  EXPECT_EQ(Lines(low), 4u) << "the cursor needs a row";
  EXPECT_THAT(low, HasSubstr(wide));
}

TEST_F(ProgressViewTest, NothingIsDrawnOverTheLastState) {
  size_ = {40, 24};
  JobStatus status = NewJobStatus("j", "j", WholeGraph());
  const auto view = View();
  view->Changed(status);
  view->Finish();
  Printed();
  view->Notify("done");
  EXPECT_EQ(Printed(), "done\n");
}

}  // namespace
}  // namespace halcyon::coordinator
