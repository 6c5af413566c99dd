// Several jobs over one state folder at the same time.
#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/env.h"
#include "storage/home.h"
#include "tests/end_to_end/small_job.h"

namespace halcyon {
namespace {

// The same job file under another name: every stage of it is the first's.
std::string Namesake(SmallJob& job) {
  const std::string path = job.root() + "/namesake.toml";
  std::string toml = *Env::Posix()->ReadFile(job.job_file());
  const std::string name = "name = \"small\"";
  EXPECT_NE(toml.find(name), std::string::npos) << toml;
  toml.replace(toml.find(name), name.size(), "name = \"namesake\"");
  EXPECT_TRUE(WriteFileAtomically(*Env::Posix(), path, toml).ok());
  return path;
}

TEST(SharedHomeTest, JobsThatWantTheSameShareOneBuildAndSurviveTheBuilder) {
  SmallJob whole("shared-whole");
  const RunResult uninterrupted = whole.Run();
  ASSERT_TRUE(uninterrupted.status.ok()) << uninterrupted.output;

  SmallJob job("shared");
  const std::string namesake = Namesake(job);
  const auto builder = job.Start({{"HALCYON_FAULT_POINT", "coordinator install autoencoder"}});
  const auto has_claims = [&] {
    const auto claims = Env::Posix()->ListDir(job.home() + "/claims");
    return claims.ok() && !claims->empty();
  };
  ASSERT_TRUE(Clock::Real()->WaitFor(has_claims, 60000));
  const RunResult second = job.Halcyon({"run", namesake});
  ASSERT_TRUE(second.status.ok()) << second.output;
  EXPECT_NE(second.output.find("waits for job small-"), std::string::npos) << second.output;
  EXPECT_NE(second.output.find("which makes it"), std::string::npos) << second.output;
  std::optional<cluster::ExitStatus> killed;
  ASSERT_TRUE(Clock::Real()->WaitFor([&] { return (killed = builder->Poll()).has_value(); }, 1000));
  EXPECT_EQ(killed->signal, 9);
  EXPECT_EQ(job.WeightsOf("autoencoder"), whole.WeightsOf("autoencoder"));
  EXPECT_EQ(job.WeightsOf("model"), whole.WeightsOf("model"));
  // The builder finds everything made.
  const RunResult again = job.Run();
  ASSERT_TRUE(again.status.ok()) << again.output;
  EXPECT_EQ(again.output.find(": made, "), std::string::npos) << again.output;
}

TEST(SharedHomeTest, FactsArePrintedWhileAJobRuns) {
  SmallJob job("shared-facts");
  const auto run = job.Start();
  const auto is_running = [&] {
    const auto jobs = Env::Posix()->ListDir(job.home() + "/jobs");
    return jobs.ok() && !jobs->empty() && job.Status().is_object();
  };
  ASSERT_TRUE(Clock::Real()->WaitFor(is_running, 60000));
  for (const std::vector<std::string>& command : {std::vector<std::string>{"list"},
                                                  {"status"},
                                                  {"cache", "list"},
                                                  {"cache", "verify"},
                                                  {"cache", "explain", job.job_file()}}) {
    const RunResult facts = job.Halcyon(command);
    EXPECT_TRUE(facts.status.ok()) << facts.output;
    EXPECT_EQ(facts.output.find("waiting for"), std::string::npos) << facts.output;
  }
  const RunResult removed = job.Halcyon({"rm", "small"});
  EXPECT_EQ(removed.status.code, 2) << removed.output;
  EXPECT_NE(removed.output.find("is running; stop it first"), std::string::npos) << removed.output;
  std::optional<cluster::ExitStatus> ended;
  ASSERT_TRUE(Clock::Real()->WaitFor([&] { return (ended = run->Poll()).has_value(); }, 120000));
  EXPECT_TRUE(ended->ok()) << ended->ToString();
}

}  // namespace
}  // namespace halcyon
