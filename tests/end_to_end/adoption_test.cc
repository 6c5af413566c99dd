// A coordinator that dies stops neither training nor tasks: the next one adopts ranks and agents.
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

// The worker's process, as the job's journal has it.
ProcessIdentity ProcessOf(SmallJob& job, const std::string& name) {
  const storage::HomeLayout home{job.home()};
  const auto history =
      storage::ReadJobHistory(*Env::Posix(), home.Journal(job.Status().at("job_id")));
  EXPECT_TRUE(history.ok()) << history.status();
  const auto found = history->processes.find(name);
  return found == history->processes.end() ? ProcessIdentity() : found->second.process;
}

// A rank of the model's gang that goes on without its coordinator, which was killed, and waits for
// rank 0, which is stopped.
ProcessIdentity OrphanOf(SmallJob& job) {
  const RunResult killed =
      job.Run({{"HALCYON_FAULT_POINT", "coordinator progress model;rank 0 model step 9@stop"},
               {"HALCYON_FAULT_MARKER", job.root() + "/fault"}});
  EXPECT_EQ(killed.status.signal, 9) << killed.output;
  return ProcessOf(job, "model-rank-1");
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
  const ProcessIdentity before = ProcessOf(job, "model-rank-1");
  ASSERT_TRUE(IsAlive(before)) << "the ranks go on";
  // Rank 0 stands still before step 9 until it is continued.
  const ProcessIdentity first = ProcessOf(job, "model-rank-0");
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
  const ProcessIdentity rank = ProcessOf(job, "model-rank-1");
  job.values()["launch.ranks"] = "1";  // the ranks that run are of another number
  job.Write();
  const RunResult run = job.Run();
  ASSERT_TRUE(run.status.ok()) << run.output;
  EXPECT_FALSE(IsAlive(rank));
  EXPECT_EQ(run.output.find("go on"), std::string::npos) << run.output;
}

// Nothing would adopt them before their grace is over.
TEST(AdoptionTest, RanksOfAStageThatTheNextRunLeavesAreEnded) {
  SmallJob job("adoption-until");
  const ProcessIdentity rank = OrphanOf(job);
  ASSERT_TRUE(IsAlive(rank));
  const RunResult data = job.Halcyon({"run", job.job_file(), "--until", "tokens"});
  ASSERT_TRUE(data.status.ok()) << data.output;
  EXPECT_FALSE(IsAlive(rank));
  EXPECT_EQ(job.Status().at("state"), "partial");
  const RunResult rest = job.Run();
  EXPECT_TRUE(rest.status.ok()) << rest.output;
}

TEST(AdoptionTest, RanksWithoutACoordinatorAreShownAndCanBeEnded) {
  SmallJob job("adoption-cancel");
  const ProcessIdentity rank = OrphanOf(job);
  ASSERT_TRUE(IsAlive(rank));
  EXPECT_NE(job.Halcyon({"status"}).output.find("its coordinator is gone, ranks or agents go on"),
            std::string::npos);
  const std::string id = job.Status().at("job_id");
  const auto why = nlohmann::json::parse(job.Halcyon({"why", "--json"}).output);
  EXPECT_EQ(why.at("state"), "interrupted") << why;
  EXPECT_NE(why.at("advice").get<std::string>().find("halcyon cancel " + id), std::string::npos)
      << why;
  const RunResult removed = job.Halcyon({"rm", id});
  EXPECT_EQ(removed.status.code, 2);
  EXPECT_NE(removed.output.find("`halcyon cancel " + id + "` ends them"), std::string::npos)
      << removed.output;
  const RunResult cancelled = job.Halcyon({"cancel", id});
  ASSERT_TRUE(cancelled.status.ok()) << cancelled.output;
  EXPECT_FALSE(IsAlive(rank));
  EXPECT_EQ(job.Status().at("state"), "cancelled");
  const RunResult again = job.Halcyon({"cancel", id});
  EXPECT_NE(again.output.find("there is nothing to cancel"), std::string::npos) << again.output;
  const RunResult run = job.Run();
  EXPECT_TRUE(run.status.ok()) << run.output;
}

// What the job's coordinators have logged.
std::string LogOf(SmallJob& job) {
  const auto folders = Env::Posix()->ListDir(job.home() + "/jobs");
  EXPECT_TRUE(folders.ok() && folders->size() == 1u);
  const auto log =
      Env::Posix()->ReadFile(job.home() + "/jobs/" + folders->front() + "/logs/coordinator.log");
  return log.ok() ? *log : "";
}

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

std::string LatentsOf(SmallJob& job) {
  const auto text = Env::Posix()->ReadFile(job.ArtifactOf("latents") + "/artifact.json");
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ok() ? nlohmann::json::parse(*text).at("content_digest") : "";
}

TEST(AdoptionTest, TheNextCoordinatorTakesOverWhatAnAgentIsAtWorkOn) {
  SmallJob whole("adoption-agents-whole");
  const RunResult uninterrupted = whole.Run();
  ASSERT_TRUE(uninterrupted.status.ok()) << uninterrupted.output;

  // One agent stands still before it delivers its shard, when the other has delivered its own.
  SmallJob job("adoption-agents");
  const std::string held = job.root() + "/fault-0";
  const RunResult killed =
      job.Run({{"HALCYON_FAULT_POINT", "agent latents/1@hold;coordinator ingest latents/0"},
               {"HALCYON_FAULT_MARKER", job.root() + "/fault"},
               {"HALCYON_LOG", "info"}});
  ASSERT_EQ(killed.status.signal, 9) << killed.output;
  ASSERT_TRUE(Clock::Real()->WaitFor([&] { return Env::Posix()->Exists(held); }, 60000));
  // Which of the two got it is chance.
  const std::string agent =
      Count(LogOf(job), "lease latents/1 to agent-0") > 0 ? "agent-0" : "agent-1";
  const ProcessIdentity before = ProcessOf(job, agent);
  ASSERT_TRUE(IsAlive(before)) << "it goes on";
  const auto next = job.Start({{"HALCYON_LOG", "info"}});
  const bool stays = Clock::Real()->WaitFor(
      [&] { return Count(LogOf(job), "lease latents/1 stays with " + agent) > 0; }, 60000);
  EXPECT_TRUE(stays) << LogOf(job);
  EXPECT_TRUE(WriteFileAtomically(*Env::Posix(), held + ".go", "").ok());
  ASSERT_TRUE(Clock::Real()->WaitFor([&] { return next->Poll().has_value(); }, 180000));
  ASSERT_TRUE(next->Poll()->ok()) << next->Poll()->ToString();
  EXPECT_EQ(ProcessOf(job, agent), before);
  EXPECT_EQ(Count(LogOf(job), "lease latents/1 to "), 1u) << "it was not given out again";
  EXPECT_EQ(LatentsOf(job), LatentsOf(whole));
  EXPECT_EQ(job.WeightsOf("model"), whole.WeightsOf("model"));
}

}  // namespace
}  // namespace halcyon
