#include "coordinator/page/home_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/page/prometheus_text.h"
#include "tests/coordinator/page/home_fixture.h"

namespace halcyon::coordinator {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kNowMs = 1764250000000;

class HomeViewTest : public ::testing::Test {
 protected:
  HomeViewTest() : running_(HomeFixture::Running(kNowMs)) {
    EXPECT_TRUE(fixture_.Write(running_).ok());
    EXPECT_TRUE(fixture_.Write(HomeFixture::Failed(kNowMs)).ok());
  }
  const StageStatus& Model() { return running_.Stage(jobs::StageKind::kModel); }
  json Curve(const char* name) {
    const auto curves = view_.Curves(running_.job_id, "model");
    EXPECT_TRUE(curves.ok()) << curves.status();
    return curves.ok() ? curves->at("curves").value(name, json()) : json();
  }

  HomeFixture fixture_;
  JobStatus running_;
  SimulatedClock clock_{kNowMs};
  HomeView view_{*Env::Posix(), clock_, fixture_.home(), fixture_.Lister()};
};

TEST_F(HomeViewTest, JobsAreSummedUp) {
  const auto jobs = view_.Jobs();
  ASSERT_TRUE(jobs.ok()) << jobs.status();
  EXPECT_EQ(jobs->at("home"), fixture_.home().root);
  ASSERT_EQ(jobs->at("jobs").size(), 2u);
  const json& first = jobs->at("jobs").at(0);
  EXPECT_EQ(first.at("job_id"), running_.job_id);
  EXPECT_EQ(first.at("state"), "running");
  EXPECT_EQ(first.at("at"), "model");
  EXPECT_DOUBLE_EQ(first.at("fraction"), (4 + 0.42) / 6);
  EXPECT_EQ(first.at("total_ms"), 3'725'000);
  EXPECT_EQ(jobs->at("jobs").at(1).at("name"), kMarkup);
}

TEST_F(HomeViewTest, AStatusIsReadOnceASecondAtMost) {
  ASSERT_TRUE(view_.Jobs().ok());
  running_.state = jobs::JobState::kDone;
  ASSERT_TRUE(fixture_.Write(running_).ok());
  EXPECT_EQ(view_.Jobs()->at("jobs").at(0).at("state"), "running");
  clock_.AdvanceMs(1000);
  EXPECT_EQ(view_.Jobs()->at("jobs").at(0).at("state"), "done");
}

TEST_F(HomeViewTest, AJobThatCannotBeReadIsNamed) {
  std::ofstream(StatusPath(fixture_.home(), "bad-00000000")) << "{";
  const auto jobs = view_.Jobs();
  ASSERT_TRUE(jobs.ok());
  EXPECT_EQ(jobs->at("jobs").size(), 1u);
  EXPECT_THAT(jobs->at("unreadable").at(0).get<std::string>(), HasSubstr("bad-00000000"));
}

TEST_F(HomeViewTest, AJobHasItsStatusAndTheCoordinatorsLastMessages) {
  ASSERT_TRUE(fixture_
                  .AppendLog(running_.job_id,
                             "2026-01-01T00:00:01.000Z info coordinator: lease\n"
                             "2026-01-01T00:00:02.000Z warning coordinator job=j stage=tokens: "
                             "tokens/1 failed: a bit flipped\n"
                             "no line of ours\n")
                  .ok());
  const auto job = view_.Job(running_.job_id);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->at("job").at("stages").at(2).at("label"), running_.stages[2].label);
  EXPECT_EQ(job->at("messages"), json::parse(R"([{"time": "2026-01-01T00:00:02.000Z",
      "level": "warning", "fields": {"stage": "tokens"},
      "message": "tokens/1 failed: a bit flipped"}])"));
  EXPECT_EQ(job->at("job").at("stages").at(4).at("has_metrics"), false);
  EXPECT_EQ(job->at("job").at("total_ms"), 3'725'000);
}

TEST_F(HomeViewTest, NamesAreLookedUpAndNeverBecomePaths) {
  for (const char* name : {"", "..", "../jobs/quick-3f2a91c0", "quick-3f2a91c0/", "other"}) {
    EXPECT_TRUE(absl::IsNotFound(view_.Job(name).status())) << name;
    EXPECT_TRUE(absl::IsNotFound(view_.Curves(running_.job_id, name).status())) << name;
  }
}

TEST_F(HomeViewTest, CurvesGrowWithTheFile) {
  EXPECT_TRUE(Curve("loss").is_null());
  ASSERT_TRUE(fixture_.AppendMetrics(Model(), "{\"step\":1,\"loss\":4}\n{\"step\":2,\"lo").ok());
  EXPECT_EQ(Curve("loss").at("steps"), json({1}));
  ASSERT_TRUE(fixture_.AppendMetrics(Model(), "ss\":3,\"tokens_per_s\":7}\n").ok());
  EXPECT_EQ(Curve("loss").at("steps"), json({1, 2}));
  EXPECT_EQ(Curve("loss").at("mean"), json({4.0, 3.0}));
  EXPECT_EQ(Curve("tokens_per_s").at("mean"), json({7.0}));
}

TEST_F(HomeViewTest, AResumedStagesFileIsReadAnew) {
  ASSERT_TRUE(fixture_.AppendMetrics(Model(), HomeFixture::MetricsLines(1, 9)).ok());
  EXPECT_EQ(Curve("loss").at("steps").size(), 9u);
  const std::string path = MetricsPath(*Env::Posix(), fixture_.home(), Model());
  // Another file of the same length, then a shorter one.
  std::string text = *Env::Posix()->ReadFile(path);
  text.replace(text.rfind("\"loss\":") + 7, 1, "1");
  std::ofstream(path, std::ios::trunc) << text;
  EXPECT_LT(Curve("loss").at("mean").back().get<double>(), 2);
  std::ofstream(path, std::ios::trunc) << HomeFixture::MetricsLines(1, 2);
  EXPECT_EQ(Curve("loss").at("steps"), json({1, 2}));
}

TEST_F(HomeViewTest, PrometheusGetsJobsAndStages) {
  const auto text = view_.Prometheus();
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(*text,
              HasSubstr("# HELP halcyon_stage_loss Loss of the last step that was "
                        "reported.\n# TYPE halcyon_stage_loss gauge\n"
                        "halcyon_stage_loss{job=\"quick-3f2a91c0\",stage=\"model\"} 3.25\n"));
  EXPECT_THAT(*text, HasSubstr("halcyon_stage_heldout_loss{job=\"quick-3f2a91c0\","
                               "stage=\"model\"} 3.5\n"));
  EXPECT_THAT(*text, HasSubstr("halcyon_stage_tasks_done{job=\"quick-3f2a91c0\","
                               "stage=\"tokens\"} 48\n"));
  EXPECT_THAT(*text, HasSubstr("name=\"<img src=x onerror=alert(1)> \\\"&amp;'\","
                               "state=\"failed\"} 1\n"));
  EXPECT_THAT(*text, HasSubstr("stage=\"tokens\",state=\"failed\"} 1\n"));
  EXPECT_THAT(*text, HasSubstr("halcyon_job_seconds{job=\"quick-3f2a91c0\"} 3725\n"));
}

TEST_F(HomeViewTest, StagesOfLongEndedJobsAreLeftOut) {
  const std::vector<JobStatus> jobs = {HomeFixture::Failed(kNowMs)};
  const std::string stage = "halcyon_stage_fraction{job=\"bad-00000000\"";
  const int64_t ended_ms = jobs[0].updated_ms;
  EXPECT_THAT(PrometheusText(jobs, ended_ms + kStagesKeptMs - 1), HasSubstr(stage));
  const std::string later = PrometheusText(jobs, ended_ms + kStagesKeptMs);
  EXPECT_THAT(later, Not(HasSubstr(stage)));
  EXPECT_THAT(later, HasSubstr("halcyon_job_state{job=\"bad-00000000\""));
}

}  // namespace
}  // namespace halcyon::coordinator
