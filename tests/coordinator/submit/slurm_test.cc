#include "coordinator/submit/slurm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/fake_slurm.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::coordinator {
namespace {

using ::testing::HasSubstr;

// As Slurm 22.05.8 prints it, shortened.
constexpr char kOld[] = R"({"meta": {"Slurm": {"version": {"major": "22"}}}, "errors": [], "jobs": [
  {"job_id": 7, "job_state": "PENDING", "state_reason": "Priority", "nodes": "", "start_time": 0,
   "end_time": 0, "restart_cnt": 1},
  {"job_id": 8, "job_state": "RUNNING", "state_reason": "None", "nodes": "n[1-2]",
   "start_time": 1795824641, "end_time": 1795824761, "restart_cnt": 0}]})";
// As later versions print it.
constexpr char kNew[] = R"({"jobs": [
  {"job_id": 9, "job_state": ["RUNNING", "POWER_UP_NODE"], "state_reason": "None", "nodes": "n1",
   "start_time": {"set": true, "infinite": false, "number": 1795824641},
   "end_time": {"set": true, "infinite": false, "number": 1795824761},
   "restart_cnt": 2},
  {"job_id": 10, "job_state": ["CANCELLED", "COMPLETING"], "nodes": "n1",
   "end_time": {"set": true, "infinite": true, "number": 0}}]})";

TEST(Squeue, ReadsTheFormsOfOldAndNewVersions) {
  const auto old = ParseSqueue(kOld);
  ASSERT_TRUE(old.ok()) << old.status();
  ASSERT_EQ(old->size(), 2u);
  EXPECT_EQ(old->at("7").state, "PENDING");
  EXPECT_EQ(old->at("7").reason, "Priority");
  EXPECT_EQ(old->at("7").restarts, 1);
  EXPECT_EQ(old->at("8").nodes, "n[1-2]");
  EXPECT_EQ(old->at("8").end_ms, 1795824761000);
  EXPECT_TRUE(old->at("8").IsLive());
  const auto recent = ParseSqueue(kNew);
  ASSERT_TRUE(recent.ok()) << recent.status();
  EXPECT_EQ(recent->at("9").state, "RUNNING");
  EXPECT_EQ(recent->at("9").end_ms, 1795824761000);
  EXPECT_EQ(recent->at("10").state, "CANCELLED");
  EXPECT_EQ(recent->at("10").end_ms, 0);
  EXPECT_FALSE(recent->at("10").IsLive());
}

// As 22.05.8 prints it, with exit code 0, while there is no slurmctld.
TEST(Squeue, AnEmptyListWithAnErrorIsNoEmptyQueue) {
  const auto jobs = ParseSqueue(R"({"errors": [{"description": "Failed while looking for jobs",
      "error_number": -1, "error": "Unspecified error", "source": "slurm_load_jobs"}],
      "jobs": []})");
  EXPECT_TRUE(absl::IsUnavailable(jobs.status())) << jobs.status();
  EXPECT_THAT(MessageOf(jobs.status()), HasSubstr("Failed while looking for jobs"));
}

TEST(Squeue, AnythingElseIsRefused) {
  for (const char* text :
       {"", "slurm_load_jobs error", "[]", "{}", "{\"jobs\": 3}", "{\"jobs\": [3"}) {
    EXPECT_TRUE(absl::IsDataLoss(ParseSqueue(text).status())) << text;
  }
  EXPECT_TRUE(ParseSqueue("{\"jobs\": [3, {}, {\"job_id\": \"x\", \"job_state\": 5}]}").ok());
}

TEST(Slurm, SaysWhatItsCommandsSay) {
  const testing::TempDir dir;
  FakeSlurm fake(dir.Path("slurm"));
  const Slurm slurm(fake.folder());
  EXPECT_EQ(*slurm.Submit({"--dependency=afterany:3"}, "/job/slurm.sh"), "1");
  EXPECT_EQ(fake.Calls(), "sbatch --parsable --dependency=afterany:3 /job/slurm.sh\n");
  fake.SetQueue(R"({"jobs": [{"job_id": 1, "job_state": "PENDING"}]})");
  EXPECT_EQ(slurm.Jobs()->at("1").state, "PENDING");
  fake.Refuse("sbatch", "sbatch: error: invalid partition specified: x");
  const auto refused = slurm.Submit({}, "/job/slurm.sh");
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status()));
  EXPECT_THAT(MessageOf(refused.status()), HasSubstr("invalid partition specified: x"));
  fake.Refuse("squeue", "slurm_load_jobs error: Unable to contact slurm controller");
  const auto away = slurm.Jobs();
  EXPECT_TRUE(absl::IsUnavailable(away.status()));
  EXPECT_THAT(MessageOf(away.status()), HasSubstr("Unable to contact slurm controller"));
}

TEST(Slurm, WhereItIsNotInstalledThatIsSaid) {
  const auto jobs = Slurm("/nonexistent").Jobs();
  EXPECT_TRUE(absl::IsUnavailable(jobs.status()));
  EXPECT_THAT(MessageOf(jobs.status()), HasSubstr("no /nonexistent/squeue here"));
}

}  // namespace
}  // namespace halcyon::coordinator
