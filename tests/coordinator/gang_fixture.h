// A gang's stage that is driven by hand, through its job: launches, messages of ranks, their ends.
#ifndef HALCYON_TESTS_COORDINATOR_GANG_FIXTURE_H_
#define HALCYON_TESTS_COORDINATOR_GANG_FIXTURE_H_

#include <string>

#include "coordinator/run/restart_budget.h"
#include "tests/coordinator/run_fixture.h"

namespace halcyon::coordinator {

inline const nlohmann::json kResult = {
    {"content_digest", "d"}, {"bytes", 3}, {"facts", {{"steps", 9}}}};

// The first gang of a job whose text is tokens already.
class GangTest : public JobRunTest {
 protected:
  GangTest() { made_ = {"of tokenizer", "of tokens"}; }

  void BeginGang() {
    Begin();
    stage_ = Node("autoencoder");
    Prepare();
  }
  void Prepare(absl::Status status = absl::OkStatus()) {
    // After a failure it waits.
    if (!Has<effect::PrepareLaunch>()) PassMs(RestartBudget::kWaitMsMax);
    const auto prepare = Only<effect::PrepareLaunch>();
    launch_ = prepare.launch;
    Happen(event::LaunchPrepared{prepare.stage, prepare.launch, std::move(status)});
  }
  void Launch(absl::Status status = absl::OkStatus()) {
    const auto launch = Only<effect::Launch>();
    EXPECT_EQ(launch.launch, launch_);
    Happen(event::Launched{launch.stage, launch.launch, std::move(status)});
  }
  WorkerId Rank(uint32_t rank) const {
    return {"autoencoder-rank-" + std::to_string(rank), launch_};
  }
  void Hello(uint32_t rank, const std::string& host = "") {
    cluster::Hello hello{"rank", "autoencoder", rank, 1, 2, ""};
    hello.host = host;
    From(Rank(rank), hello);
  }
  // What rank `rank` of two last said; the other waits for it.
  void Beat(uint32_t rank, const cluster::Activity& activity) {
    const cluster::Activity waits{
        "collective", "all-reduce", activity.step, 5, activity.age_ms, 5, 5};
    Happen(event::Beats{{{Rank(rank), activity}, {Rank(1 - rank), waits}}});
  }
  void Run() {
    Launch();
    Hello(0);
    Hello(1);
  }
  void RankEnds(uint32_t rank, const absl::Status& how) {
    From(Rank(rank), cluster::RankEnded{"autoencoder", rank, static_cast<int>(how.code()),
                                        MessageOf(how), how.ok() && rank == 0 ? kResult : nullptr});
  }
  void LauncherEnds() { Happen(event::LauncherEnded{stage_, launch_}); }
  // What is left of the launch has ended.
  void RanksGone(const absl::Status& exit = absl::OkStatus(), uint64_t newest_step = 0,
                 const absl::Status& room = absl::OkStatus()) {
    RanksGone(GangRemains{exit, "x.log", newest_step, room});
  }
  void RanksGone(const GangRemains& remains) {
    const auto end = Only<effect::EndRanks>();
    EXPECT_EQ(end.launch, launch_);
    Happen(event::RanksEnded{end.stage, end.launch, remains});
  }
  // A launch that comes up and fails.
  void FailOnce(uint64_t newest_step = 0) {
    Run();
    RankEnds(1, Unavailable("lost"));
    LauncherEnds();
    PassMs(1000);
    RanksGone(Unavailable("the launcher ended with exit code 1"), newest_step);
  }

  NodeId stage_;
  uint64_t launch_ = 0;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_TESTS_COORDINATOR_GANG_FIXTURE_H_
