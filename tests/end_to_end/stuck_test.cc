// Workers that answer while their work stands still: named, ended and started again, with the
// weights of an undisturbed run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/clock.h"
#include "base/env.h"
#include "tests/end_to_end/small_job.h"

namespace halcyon {
namespace {

using ::testing::HasSubstr;

// Short steps are hardly ever seen by a heartbeat, so nothing is known of them: what hangs is found
// after six times as many seconds.
constexpr char kFloorSeconds[] = "2";

nlohmann::json Why(SmallJob& job) {
  const RunResult why = job.Halcyon({"why", "--json"});
  return nlohmann::json::parse(why.output, nullptr, /*allow_exceptions=*/false);
}

// Whether rank 0 is seen to wait for rank 1 in the step that rank 1 hangs in.
bool ShowsWhoWaits(SmallJob& job) {
  const nlohmann::json why = Why(job);
  if (!why.is_object()) return false;
  const nlohmann::json& ranks = why.at("ranks");
  const auto is = [&](const char* worker, const char* waits_for) {
    return std::any_of(ranks.begin(), ranks.end(), [&](const nlohmann::json& rank) {
      return rank.at("worker") == worker && rank.at("waits_for") == waits_for &&
             rank.at("step") == 14;
    });
  };
  return is("model-rank-0", "rank 1") && is("model-rank-1", "");
}

TEST(StuckTest, AHungRankAndAHungTaskAreFoundByNameAndDoneAgain) {
  SmallJob whole("stuck-whole");
  const RunResult uninterrupted = whole.Run();
  ASSERT_TRUE(uninterrupted.status.ok()) << uninterrupted.output;

  SmallJob job("stuck-parts");
  job.values()["launch.hang_floor_s"] = kFloorSeconds;
  job.Write();
  const std::string output = job.root() + "/output";
  const auto run =
      job.Start({{"HALCYON_FAULT_POINT", "agent tokens/1@hang;rank 1 model step 14@hang"},
                 {"HALCYON_FAULT_MARKER", job.root() + "/fault"}});
  bool was_seen = false;
  const bool ended = Clock::Real()->WaitFor(
      [&] {
        was_seen = was_seen || ShowsWhoWaits(job);
        return run->Poll().has_value();
      },
      300'000, 500);
  ASSERT_TRUE(ended);
  ASSERT_TRUE(run->Poll()->ok()) << run->Poll()->ToString();
  for (const char* marker : {"/fault-0", "/fault-1"}) {
    EXPECT_TRUE(Env::Posix()->Exists(job.root() + marker)) << marker;
  }
  EXPECT_TRUE(was_seen) << "`why` did not show that rank 0 waits for rank 1";
  const nlohmann::json status = job.Status();
  std::string reason;
  for (const nlohmann::json& stage : status.at("stages")) {
    if (stage.at("stage") == "model") reason = stage.at("restart_why");
  }
  EXPECT_THAT(reason, HasSubstr("is stuck in step 14: waiting for data"));
  EXPECT_THAT(reason, HasSubstr("rank 1 on "));
  EXPECT_EQ(Why(job).at("state"), "done");
  EXPECT_EQ(job.WeightsOf("model"), whole.WeightsOf("model"));
}

}  // namespace
}  // namespace halcyon
