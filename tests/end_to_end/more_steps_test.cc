// A run with raised steps: it goes on from its checkpoint, and the weights are bit for bit those
// of a run that had the larger number of steps from the start. Then its job is removed.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/digest.h"
#include "base/env.h"
#include "tests/end_to_end/small_job.h"

namespace halcyon {
namespace {

using nlohmann::json;

// A schedule that does not depend on the number of steps.
void HoldTheRates(SmallJob& job) {
  job.values()["autoencoder.train.decay"] = job.values()["train.decay"] = "\"constant\"";
}

// The folder of the artifact that the job's last run has.
std::string ArtifactNow(SmallJob& job, const std::string& stage) {
  const json status = job.Status();
  for (const json& one : status.at("stages")) {
    if (one["stage"] != stage) continue;
    return job.home() + "/artifacts/" + stage + "/" +
           one["fingerprint"].get<std::string>().substr(0, 16);
  }
  ADD_FAILURE() << "no stage " << stage;
  return "";
}

std::string WeightsNow(SmallJob& job, const std::string& stage) {
  const auto digest = Sha256OfFile(ArtifactNow(job, stage) + "/model.safetensors");
  EXPECT_TRUE(digest.ok()) << digest.status();
  return digest.ok() ? *digest : "";
}

TEST(MoreStepsTest, ALongerRunGoesOnAndEndsWithTheSameWeights) {
  SmallJob whole("more-whole");
  HoldTheRates(whole);
  whole.values()["autoencoder.train.steps"] = "26";
  whole.values()["train.steps"] = "21";
  whole.Write();
  const RunResult uninterrupted = whole.Run();
  ASSERT_TRUE(uninterrupted.status.ok()) << uninterrupted.output;

  SmallJob job("more-parts");
  HoldTheRates(job);
  job.values()["autoencoder.train.steps"] = "20";
  job.values()["train.steps"] = "9";
  job.Write();
  RunResult result = job.Run();
  ASSERT_TRUE(result.status.ok()) << result.output;
  const std::string more_autoencoder = "autoencoder.train.steps=26", more = "train.steps=21";
  result = job.Halcyon({"run", "--set", more_autoencoder, job.job_file()});
  ASSERT_TRUE(result.status.ok()) << result.output;
  EXPECT_NE(result.output.find("autoencoder: goes on from step 20 of the run with "
                               "autoencoder.train.steps = 20"),
            std::string::npos)
      << result.output;
  EXPECT_EQ(WeightsNow(job, "autoencoder"), WeightsNow(whole, "autoencoder"));

  result =
      job.Halcyon({"cache", "explain", job.job_file(), "--set", more_autoencoder, "--set", more});
  EXPECT_NE(result.output.find("goes on from step 9 of the run with train.steps = 9"),
            std::string::npos)
      << result.output;
  result = job.Halcyon({"run", "--set", more_autoencoder, "--set", more, job.job_file()});
  ASSERT_TRUE(result.status.ok()) << result.output;
  EXPECT_NE(result.output.find("model: goes on from step 9 of the run with train.steps = 9"),
            std::string::npos)
      << result.output;
  EXPECT_EQ(WeightsNow(job, "model"), WeightsNow(whole, "model"));
  const RunResult csv = job.Halcyon({"metrics", "--csv"});
  EXPECT_EQ(std::count(csv.output.begin(), csv.output.end(), '\n'), 22)
      << "a line for each step, of both runs, and the names: " << csv.output;
}

TEST(MoreStepsTest, ARemovedJobLeavesNothing) {
  SmallJob job("more-removed");
  ASSERT_TRUE(job.Run().status.ok());
  const std::string id = job.Status()["job_id"];
  EXPECT_EQ(job.Halcyon({"watch", id}).status.code, 0) << "the exit code of the job";
  RunResult result = job.Halcyon({"rm", id, "--dry-run", "--json"});
  ASSERT_TRUE(result.status.ok()) << result.output;
  const json plan = json::parse(result.output);
  EXPECT_TRUE(Env::Posix()->Exists(ArtifactNow(job, "model")));
  EXPECT_GT(plan["bytes"], 100000);
  result = job.Halcyon({"rm", "small", "--json"});
  ASSERT_TRUE(result.status.ok()) << result.output;
  // The lease that the removal takes is among what it removes.
  EXPECT_NEAR(json::parse(result.output)["bytes"].get<double>(), plan["bytes"].get<double>(), 2000);
  Env& env = *Env::Posix();
  for (const std::string folder : {"/jobs", "/work", "/artifacts/model", "/artifacts/tokens"}) {
    EXPECT_TRUE(env.ListDir(job.home() + folder)->empty()) << folder;
  }
  EXPECT_EQ(job.Halcyon({"status", id}).status.code, 2);
  result = job.Run();
  EXPECT_TRUE(result.status.ok()) << "the same command makes it again: " << result.output;
}

}  // namespace
}  // namespace halcyon
