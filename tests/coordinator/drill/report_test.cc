#include "coordinator/drill/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace halcyon::coordinator {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The metrics of a stage whose steps 1, 2, ... were made at these times, in seconds.
MetricsTable StepsAt(const std::vector<double>& seconds) {
  std::string text;
  for (size_t i = 0; i < seconds.size(); ++i) {
    text += "{\"step\": " + std::to_string(i + 1) +
            ", \"time_ms\": " + std::to_string(static_cast<int64_t>(1000 * seconds[i])) +
            ", \"loss\": 1.5}\n";
  }
  return ParseMetrics(text);
}

TEST(DrillReportTest, StepsMadeAgainAfterAFaultAreLostByIt) {
  // Step 4 was done at 14 s; then the ranks died, and went on from step 2 at 20 s.
  const FaultCost cost = CostOf({4, 14'000}, StepsAt({11, 12, 20, 21, 22, 23}));
  EXPECT_EQ(cost.steps_lost, 2u);
  EXPECT_DOUBLE_EQ(cost.seconds, 8) << "from step 4, first made at 14 s, to step 5 at 22 s";
}

TEST(DrillReportTest, RanksThatSaveWhatTheyDidAfterAStopLoseNothing) {
  // Told to stop after step 2, they made step 3, saved it, and went on later.
  const FaultCost cost = CostOf({2, 12'000}, StepsAt({11, 12, 12.5, 19.5, 20}));
  EXPECT_EQ(cost.steps_lost, 0u);
  EXPECT_DOUBLE_EQ(cost.seconds, 7);
}

TEST(DrillReportTest, AnEvaluationAfterAStepIsNoStep) {
  const MetricsTable table = ParseMetrics(
      "{\"step\": 1, \"time_ms\": 1000}\n{\"step\": 1, \"time_ms\": 9000, \"eval\": {\"x\": 1}}\n"
      "{\"step\": 2, \"time_ms\": 2000}\n");
  EXPECT_EQ(CostOf({1, 1000}, table).steps_lost, 0u);
  EXPECT_DOUBLE_EQ(CostOf({1, 1000}, table).seconds, 1);
}

TEST(DrillReportTest, TheLastStepIsThatOfTheLastWholeLine) {
  const auto last = LastStepOf("p_ms\": 3}\n{\"step\": 7, \"time_ms\": 70}\n{\"step\": 8, \"time");
  ASSERT_TRUE(last);
  EXPECT_EQ(last->step, 7u);
  EXPECT_EQ(last->time_ms, 70);
  EXPECT_FALSE(LastStepOf("{\"step\": 8, \"time_ms\": 80}")) << "its end may be missing";
  EXPECT_FALSE(LastStepOf(""));
}

FaultOutcome Survived() {
  return {.fault = Fault::kKillRank,
          .made = "SIGKILL to model-rank-1 (pid 5 on n2)",
          .detected = "the launcher ended with exit code 137\nthe last lines",
          .step = 551,
          .steps_lost = 51,
          .seconds = 4.56,
          .weights_equal = true};
}

TEST(DrillReportTest, ATableHasALineForEachFaultAndWhatWentWrong) {
  FaultOutcome other{.fault = Fault::kKillAgent, .detected = "agent-0 was killed", .seconds = 0.5};
  other.weights_equal = false;
  const std::string text = TextOf({Survived(), other});
  EXPECT_EQ(text,
            "FAULT               STEP  STEPS LOST      BACK  WEIGHTS  DETECTED\n"
            "kill-rank            551          51     4.6 s  equal    the launcher ended with exit "
            "code 137\n"
            "kill-agent             -           -     0.5 s  DIFFER   agent-0 was killed\n"
            "kill-agent: the weights are not those of the undisturbed job\n");
}

TEST(DrillReportTest, ALongReasonIsCutInTheTableAlone) {
  FaultOutcome one = Survived();
  one.detected = std::string(60, 'a') + " " + std::string(60, 'b');
  EXPECT_THAT(TextOf({one}), HasSubstr(std::string(60, 'a') + " ...\n"));
  EXPECT_EQ(ToJson({one})[0]["detected"], one.detected);
  one.detected = std::string(200, 'c');
  EXPECT_THAT(TextOf({one}), HasSubstr(std::string(100, 'c') + " ...\n"));
}

TEST(DrillReportTest, JsonHasTheSameAndNullForWhatIsNotKnown) {
  FaultOutcome lost{.fault = Fault::kPreempt, .error = "not back within 5 s; ended"};
  lost.left_running = {"model-rank-0 (pid 9 on n1)"};
  const nlohmann::json json = ToJson({Survived(), lost});
  EXPECT_EQ(json[0], (nlohmann::json{{"fault", "kill-rank"},
                                     {"made", "SIGKILL to model-rank-1 (pid 5 on n2)"},
                                     {"detected", Survived().detected},
                                     {"step", 551},
                                     {"steps_lost", 51},
                                     {"seconds", 4.56},
                                     {"weights_equal", true},
                                     {"left_running", nlohmann::json::array()},
                                     {"ok", true},
                                     {"error", ""}}));
  EXPECT_EQ(json[1]["ok"], false);
  EXPECT_EQ(json[1]["error"], "not back within 5 s; ended");
  EXPECT_EQ(json[1]["left_running"], (nlohmann::json{"model-rank-0 (pid 9 on n1)"}));
  for (const char* name : {"step", "steps_lost", "seconds", "weights_equal"}) {
    EXPECT_TRUE(json[1][name].is_null()) << name;
  }
}

TEST(DrillReportTest, AFaultIsSurvivedWithEqualWeightsAndNothingLeftRunning) {
  EXPECT_TRUE(VerdictOf({Survived(), Survived()}).ok());
  FaultOutcome left = Survived(), none = Survived(), differ = Survived();
  left.left_running = {"agent-1 (pid 3 on n1)"};
  none.weights_equal.reset();
  differ.weights_equal = false;
  EXPECT_EQ(VerdictOf({Survived(), left}).message(),
            "kill-rank: left running: agent-1 (pid 3 on n1)");
  EXPECT_THAT(std::string(VerdictOf({none}).message()), HasSubstr("there are no weights"));
  const std::string two(VerdictOf({differ, Survived(), none}).message());
  EXPECT_EQ(std::count(two.begin(), two.end(), '\n'), 1) << two;
}

}  // namespace
}  // namespace halcyon::coordinator
