// A state folder with jobs in several states, as files.
#ifndef HALCYON_TESTS_COORDINATOR_PAGE_HOME_FIXTURE_H_
#define HALCYON_TESTS_COORDINATOR_PAGE_HOME_FIXTURE_H_

#include <cmath>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "base/env.h"
#include "coordinator/job_status.h"
#include "coordinator/page/home_view.h"
#include "storage/home.h"
#include "tests/coordinator/whole_graph.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::coordinator {

inline constexpr char kMarkup[] = "<img src=x onerror=alert(1)> \"&amp;'";

class HomeFixture {
 public:
  HomeFixture() : home_{dir_.Path("home")} {}

  const storage::HomeLayout& home() const { return home_; }
  // Every job as its file says, whoever runs it.
  HomeView::ListJobs Lister() const {
    return [home = home_](std::vector<std::string>* unreadable) {
      return ListJobStatuses(*Env::Posix(), home, unreadable);
    };
  }

  absl::Status Write(const JobStatus& status) const {
    RETURN_IF_ERROR(Env::Posix()->CreateDirs(home_.JobLogs(status.job_id)));
    return WriteJobStatus(*Env::Posix(), home_, status);
  }
  // To the metrics of a stage that is being made.
  absl::Status AppendMetrics(const StageStatus& stage, const std::string& lines) const {
    const std::string folder =
        home_.Work(std::string(jobs::StageName(stage.kind)), stage.fingerprint);
    RETURN_IF_ERROR(Env::Posix()->CreateDirs(folder));
    std::ofstream(JoinPath(folder, "metrics.jsonl"), std::ios::app) << lines;
    return absl::OkStatus();
  }
  absl::Status AppendLog(const std::string& job_id, const std::string& lines) const {
    std::ofstream(JoinPath(home_.JobLogs(job_id), "coordinator.log"), std::ios::app) << lines;
    return absl::OkStatus();
  }

  // Trains its model: tokens and autoencoder made, latents under way.
  static JobStatus Running(int64_t now_ms) {
    JobStatus job = NewJobStatus("quick-3f2a91c0", "quick", WholeGraph());
    job.state = jobs::JobState::kRunning;
    job.started_ms = now_ms - 3'725'000;
    job.updated_ms = now_ms;
    for (StageStatus& stage : job.stages) {
      stage.fingerprint = std::string(64, static_cast<char>('a' + static_cast<int>(stage.kind)));
      if (stage.kind == jobs::StageKind::kModel || stage.kind == jobs::StageKind::kEval) continue;
      stage.state = jobs::StageState::kDone;
      stage.fraction = 1;
      stage.started_ms = now_ms - 3'000'000;
      stage.ended_ms = now_ms - 2'400'000;
    }
    StageStatus& tokens = job.Stage(jobs::StageKind::kTokens);
    tokens.tasks = tokens.tasks_done = 48;
    StageStatus& model = job.Stage(jobs::StageKind::kModel);
    model.state = jobs::StageState::kRunning;
    model.step = 420;
    model.steps = 1000;
    model.fraction = 0.42;
    model.pace = 0.001;
    model.started_ms = now_ms - 1'200'000;
    model.note = "made, train.steps changed";
    model.figures = {{"loss", 3.25}, {"tokens_per_s", 8123.5}, {"eval", {{"heldout_loss", 3.5}}}};
    return job;
  }
  static JobStatus Failed(int64_t now_ms) {
    JobStatus job = NewJobStatus("bad-00000000", kMarkup, WholeGraph());
    job.state = jobs::JobState::kFailed;
    job.started_ms = now_ms - 90'000;
    job.updated_ms = now_ms - 60'000;
    job.error = std::string("tokens/3: line 7 is no text ") + kMarkup;
    job.Stage(jobs::StageKind::kTokens).state = jobs::StageState::kFailed;
    job.Stage(jobs::StageKind::kTokens).note = kMarkup;
    return job;
  }
  static std::string MetricsLines(uint64_t first, uint64_t last) {
    std::string lines;
    for (uint64_t step = first; step <= last; ++step) {
      const double noise = std::sin(static_cast<double>(step * step)) / 8;
      const double loss = 3 + 6 * std::exp(-static_cast<double>(step) / 90) + noise;
      lines += nlohmann::json{{"step", step},
                              {"loss", loss},
                              {"time_ms", 1764250000000 + step},
                              {"tokens_per_s", 8000 + 900 * noise}}
                   .dump() +
               "\n";
      if (step % 50 != 0) continue;
      lines +=
          nlohmann::json{{"step", step}, {"eval", {{"heldout_loss", loss - noise + 0.2}}}}.dump() +
          "\n";
    }
    return lines;
  }

 private:
  testing::TempDir dir_;
  storage::HomeLayout home_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_TESTS_COORDINATOR_PAGE_HOME_FIXTURE_H_
