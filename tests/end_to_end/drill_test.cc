// `halcyon drill` on this machine, with the real programs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/env.h"
#include "tests/end_to_end/small_job.h"

namespace halcyon {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(DrillTest, JobsComeBackFromAKilledRankAndAKilledCoordinator) {
  SmallJob job("drill");  // for its folder
  const RunResult drill = job.HalcyonRedirected(
      "2>" + job.root() + "/told", {"drill", "--json", "--faults", "kill-rank,kill-coordinator",
                                    "--set", "train.steps=200", "--set", "checkpoint.every=20"});
  ASSERT_TRUE(drill.status.ok()) << drill.output;
  const auto faults = nlohmann::json::parse(drill.output, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(faults.is_array() && faults.size() == 2) << drill.output;
  for (const nlohmann::json& fault : faults) {
    EXPECT_EQ(fault["ok"], true) << fault;
    EXPECT_EQ(fault["weights_equal"], true) << fault;
    EXPECT_THAT(fault["left_running"], IsEmpty());
    EXPECT_GE(fault["step"], 110) << fault;
    EXPECT_GT(fault["seconds"], 0) << fault;
  }
  EXPECT_EQ(faults[0]["fault"], "kill-rank");
  EXPECT_THAT(faults[0]["made"].get<std::string>(), HasSubstr("SIGKILL to model-rank-1 (pid "));
  EXPECT_THAT(faults[0]["detected"].get<std::string>(), HasSubstr("137"));
  EXPECT_GT(faults[0]["steps_lost"], 0);
  EXPECT_EQ(faults[1]["fault"], "kill-coordinator");
  EXPECT_THAT(faults[1]["detected"].get<std::string>(),
              HasSubstr("the next one adopted the ranks"));
  EXPECT_EQ(faults[1]["steps_lost"], 0);
  const auto left = Env::Posix()->ListDir(job.home() + "/drill");
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_THAT(*left, IsEmpty()) << "the drill's files are removed";
}

TEST(DrillTest, AFaultThatIsNotSurvivedIsExitCodeOne) {
  SmallJob job("drill-lost");
  const RunResult drill = job.Halcyon({"drill", "--faults", "kill-rank", "--set", "train.steps=200",
                                       "--set", "launch.restarts_max=0"});
  EXPECT_EQ(drill.status.code, 1) << drill.output;
  EXPECT_THAT(drill.output, HasSubstr("error: kill-rank: the job ended with exit code 3"));
  EXPECT_THAT(drill.output, HasSubstr("the drill's files are in "));
}

TEST(DrillTest, ABadOptionIsSaidBeforeAnythingIsMade) {
  SmallJob job("drill-bad");
  const RunResult name = job.Halcyon({"drill", "--faults", "kill-rank,burn"});
  EXPECT_EQ(name.status.code, 2) << name.output;
  EXPECT_THAT(name.output, HasSubstr("\"burn\" is not one of"));
  const RunResult set = job.Halcyon({"drill", "--set", "train.stepps=3"});
  EXPECT_EQ(set.status.code, 2) << set.output;
  const auto left = Env::Posix()->ListDir(job.home() + "/drill");
  EXPECT_TRUE(!left.ok() || left->empty());
}

}  // namespace
}  // namespace halcyon
