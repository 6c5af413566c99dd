// A coordinator that dies does not stop training: the next one adopts the ranks.
#include <gtest/gtest.h>
#include <signal.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/process_identity.h"
#include "storage/home.h"
#include "storage/job_journal.h"
#include "tests/end_to_end/small_job.h"

namespace halcyon {
namespace {

// The rank's process, as the job's journal has it.
ProcessIdentity RankOf(SmallJob& job, const std::string& name) {
  const storage::HomeLayout home{job.home()};
  const auto history =
      storage::ReadJobHistory(*Env::Posix(), home.Journal(job.Status().at("job_id")));
  EXPECT_TRUE(history.ok()) << history.status();
  const auto found = history->processes.find(name);
  return found == history->processes.end() ? ProcessIdentity() : found->second.process;
}

TEST(AdoptionTest, TheNextCoordinatorGoesOnWithTheSameRanks) {
  SmallJob whole("adoption-whole");
  const RunResult uninterrupted = whole.Run();
  ASSERT_TRUE(uninterrupted.status.ok()) << uninterrupted.output;

  SmallJob job("adoption");
  // Slow enough that the ranks still train when the next coordinator comes.
  const std::map<std::string, std::string> slow = {
      {"HALCYON_FAULT_POINT", "coordinator progress model;rank 0 model step 9@stop"},
      {"HALCYON_FAULT_MARKER", job.root() + "/fault"}};
  const RunResult killed = job.Run(slow);
  ASSERT_EQ(killed.status.signal, 9) << killed.output;
  const ProcessIdentity before = RankOf(job, "model-rank-1");
  ASSERT_TRUE(IsAlive(before)) << "the ranks go on";
  // Rank 0 stands still before step 9 until it is continued.
  const ProcessIdentity first = RankOf(job, "model-rank-0");
  ASSERT_TRUE(
      Clock::Real()->WaitFor([&] { return Env::Posix()->Exists(job.root() + "/fault-1"); }, 60000));
  kill(first.pid, SIGCONT);
  const RunResult adopted = job.Run();
  ASSERT_TRUE(adopted.status.ok()) << adopted.output;
  EXPECT_NE(adopted.output.find("model: the ranks that the earlier coordinator launched go on"),
            std::string::npos)
      << adopted.output;
  EXPECT_EQ(adopted.output.find("goes on from step"), std::string::npos) << "no step is lost";
  EXPECT_EQ(job.WeightsOf("model"), whole.WeightsOf("model"));
}

TEST(AdoptionTest, RanksThatCannotBeAdoptedAreEndedFirst) {
  SmallJob job("adoption-refused");
  const RunResult killed = job.Run({{"HALCYON_FAULT_POINT", "coordinator progress model"}});
  ASSERT_EQ(killed.status.signal, 9) << killed.output;
  const ProcessIdentity rank = RankOf(job, "model-rank-1");
  job.values()["launch.ranks"] = "1";  // the ranks that run are of another number
  job.Write();
  const RunResult run = job.Run();
  ASSERT_TRUE(run.status.ok()) << run.output;
  EXPECT_FALSE(IsAlive(rank));
  EXPECT_EQ(run.output.find("go on"), std::string::npos) << run.output;
}

}  // namespace
}  // namespace halcyon
