#include "coordinator/metrics/metrics_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace halcyon::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr char kLines[] =
    R"({"grad_norm":1.5,"learning_rate":0.002,"loss":2.25,"step":1,"step_seconds":0.5,)"
    R"("time_ms":1764250000123,"tokens_per_s":640.0,"spread":0.125}
{"grad_norm":1.0,"loss":2.0,"step":2,"time_ms":1764250000700}
{"eval":{"brier_lm":3.5,"heldout_loss":2.5,"samples":[{"text":"x"}]},"step":2,"time_ms":1764250001000}
{"step":3,"lo)";

TEST(MetricsTableTest, AStepAndItsEvaluationAreOneRow) {
  const MetricsTable table = ParseMetrics(kLines);
  EXPECT_THAT(table.columns, ElementsAre("time_ms", "step_seconds", "tokens_per_s", "loss",
                                         "grad_norm", "learning_rate", "eval.heldout_loss",
                                         "eval.brier_lm", "eval.time_ms", "spread"));
  ASSERT_EQ(table.rows.size(), 2u) << "the last line was cut short";
  EXPECT_EQ(table.rows[1].step, 2u);
  EXPECT_EQ(table.rows[1].values.at("eval.heldout_loss"), 2.5);
  EXPECT_EQ(table.rows[1].values.at("time_ms"), 1764250000700.0);
  EXPECT_THAT(PointsOf(table, "loss"), ElementsAre(Pair(1, 2.25), Pair(2, 2.0)));
  EXPECT_THAT(PointsOf(table, "eval.brier_lm"), ElementsAre(Pair(2, 3.5)));
}

TEST(MetricsTableTest, TheLaterOfTwoLinesOfAStepCounts) {
  const MetricsTable table = ParseMetrics("{\"step\":1,\"loss\":2}\n{\"step\":1,\"loss\":3}\n");
  EXPECT_THAT(PointsOf(table, "loss"), ElementsAre(Pair(1, 3.0)));
}

TEST(MetricsTableTest, OddLinesArePassedOver) {
  const MetricsTable table = ParseMetrics(
      "[]\n{}\n{\"step\":-1,\"loss\":1}\n{\"step\":\"2\"}\n\n{\"step\":4,\"eval\":null,"
      "\"time_ms\":7,\"name\":\"x\"}\n");
  ASSERT_EQ(table.rows.size(), 1u);
  EXPECT_EQ(table.rows[0].step, 4u);
}

TEST(MetricsTableTest, CsvHasEveryFigureAndReadsBack) {
  EXPECT_EQ(MetricsCsv(ParseMetrics(kLines)),
            "step,time_ms,step_seconds,tokens_per_s,loss,grad_norm,learning_rate,"
            "eval.heldout_loss,eval.brier_lm,eval.time_ms,spread\n"
            "1,1764250000123,0.5,640,2.25,1.5,0.002,,,,0.125\n"
            "2,1764250000700,,,2,1,,2.5,3.5,1764250001000,\n");
  const double odd = 0.1 + 0.2;
  const std::string csv = MetricsCsv({{"loss"}, {{1, {{"loss", odd}}}}});
  EXPECT_EQ(std::stod(csv.substr(csv.find("1,") + 2)), odd);
}

TEST(MetricsTableTest, TheTableForAPersonIsShortAndKeepsEvaluations) {
  MetricsTable table;
  table.columns = {"time_ms", "loss", "eval.heldout_loss"};
  for (uint64_t step = 1; step <= 1000; ++step) {
    table.rows.push_back({step, {{"loss", 1000.0 / step}, {"time_ms", 1e12}}});
  }
  table.rows[499].values["eval.heldout_loss"] = 7.5;
  const std::string text = MetricsText(table, 10);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 13) << text;
  EXPECT_THAT(text, HasSubstr("\n       500      2.0000      7.5000\n"));
  EXPECT_THAT(text, HasSubstr("\n         1        1000"));
  EXPECT_THAT(text, HasSubstr("\n      1000      1.0000"));
  EXPECT_THAT(text, HasSubstr("11 of 1000 steps; --csv prints all\n"));
  EXPECT_THAT(MetricsText(table, 2000), testing::Not(HasSubstr("--csv")));
}

}  // namespace
}  // namespace halcyon::coordinator
