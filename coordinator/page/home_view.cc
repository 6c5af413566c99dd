#include "coordinator/page/home_view.h"

#include <algorithm>

#include "coordinator/housekeeping/log_record.h"
#include "coordinator/page/prometheus_text.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kSnapshotMs = 1000;
// Stages whose curves are kept in memory; a page shows two.
constexpr size_t kFollowersMax = 32;
constexpr uint64_t kLogTailBytes = 64 << 10;
constexpr size_t kMessagesMax = 30;

bool IsFinished(const StageStatus& stage) {
  return stage.state == jobs::StageState::kDone || stage.state == jobs::StageState::kReused;
}

bool IsBegun(const StageStatus& stage) {
  return !IsFinished(stage) && stage.state != jobs::StageState::kWaiting;
}

// The stage that the job is at (the first that has begun, else the first that waits), and how far
// all of them are: each counts the same.
nlohmann::json SummaryOf(const JobStatus& job) {
  double fraction = 0;
  std::string at = "all stages are finished";
  for (auto stage = job.stages.rbegin(); stage != job.stages.rend(); ++stage) {
    fraction += IsFinished(*stage) ? 1 : stage->fraction;
    if (!IsFinished(*stage)) at = stage->label;
  }
  const auto begun = std::ranges::find_if(job.stages, IsBegun);
  if (begun != job.stages.end()) at = begun->label;
  if (!job.stages.empty()) fraction /= static_cast<double>(job.stages.size());
  return {{"job_id", job.job_id},
          {"name", job.name},
          {"state", NameOf(job.state)},
          {"error", job.error},
          {"started_ms", job.started_ms},
          {"updated_ms", job.updated_ms},
          {"total_ms", job.TotalMs()},
          {"fraction", fraction},
          {"at", at}};
}

nlohmann::json CurveToJson(const CurveSummary& curve) {
  nlohmann::json steps = nlohmann::json::array(), mean = steps, low = steps, high = steps;
  for (const CurveSummary::Point& point : curve.points()) {
    steps.push_back(point.step);
    mean.push_back(point.mean());
    low.push_back(point.low);
    high.push_back(point.high);
  }
  return {{"steps", steps}, {"mean", mean}, {"low", low}, {"high", high}};
}

}  // namespace

absl::Status HomeView::Refresh() {
  const int64_t now_ms = clock_.MonotonicMs();
  if (snapshot_ && now_ms - snapshot_->read_ms < kSnapshotMs) return absl::OkStatus();
  Snapshot next{.read_ms = now_ms, .jobs = {}, .unreadable = {}};
  ASSIGN_OR_RETURN(next.jobs, list_jobs_(&next.unreadable));
  snapshot_ = std::move(next);
  return absl::OkStatus();
}

absl::StatusOr<JobStatus> HomeView::Find(const std::string& job_id) {
  RETURN_IF_ERROR(Refresh());
  const auto it = std::ranges::find(snapshot_->jobs, job_id, &JobStatus::job_id);
  if (it == snapshot_->jobs.end()) return NotFound("no such job");
  return *it;
}

absl::StatusOr<nlohmann::json> HomeView::Jobs() {
  const MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Refresh());
  nlohmann::json jobs = nlohmann::json::array();
  for (const JobStatus& job : snapshot_->jobs) jobs.push_back(SummaryOf(job));
  return nlohmann::json{{"home", home_.root},
                        {"now_ms", clock_.WallMs()},
                        {"jobs", std::move(jobs)},
                        {"unreadable", snapshot_->unreadable}};
}

absl::StatusOr<nlohmann::json> HomeView::Job(const std::string& job_id) {
  JobStatus job;
  {
    const MutexLock lock(&mutex_);
    ASSIGN_OR_RETURN(job, Find(job_id));
  }
  nlohmann::json json = ToJson(job);
  json["total_ms"] = job.TotalMs();
  for (size_t i = 0; i < job.stages.size(); ++i) {
    const StageStatus& stage = job.stages[i];
    json["stages"][i]["has_metrics"] =
        !stage.fingerprint.empty() && env_.Exists(MetricsPath(env_, home_, stage));
  }
  return nlohmann::json{
      {"now_ms", clock_.WallMs()}, {"job", std::move(json)}, {"messages", Messages(job.job_id)}};
}

nlohmann::json HomeView::Messages(const std::string& job_id) const {
  nlohmann::json messages = nlohmann::json::array();
  const std::string path = JoinPath(home_.JobLogs(job_id), "coordinator.log");
  const auto size = env_.FileSize(path);
  if (!size.ok()) return messages;
  const uint64_t wanted = std::min(*size, kLogTailBytes);
  const auto text = env_.ReadRange(path, *size - wanted, wanted);
  if (!text.ok()) return messages;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const auto record = ParseLogLine(line);
    if (!record || record->level == "info" || record->level == "debug") continue;
    nlohmann::json fields = nlohmann::json::object();
    for (const auto& [key, value] : record->fields) {
      if (key != "job") fields[key] = value;
    }
    messages.push_back({{"time", record->time},
                        {"level", record->level},
                        {"fields", std::move(fields)},
                        {"message", record->message}});
  }
  if (messages.size() > kMessagesMax) {
    messages.erase(messages.begin(), messages.end() - kMessagesMax);
  }
  return messages;
}

absl::StatusOr<nlohmann::json> HomeView::Curves(const std::string& job_id,
                                                const std::string& stage_label) {
  const MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(const JobStatus job, Find(job_id));
  const auto stage = std::ranges::find(job.stages, stage_label, &StageStatus::label);
  if (stage == job.stages.end()) return NotFound("no such stage");
  nlohmann::json curves = nlohmann::json::object();
  if (stage->fingerprint.empty()) return nlohmann::json{{"curves", std::move(curves)}};
  const std::string path = MetricsPath(env_, home_, *stage);
  auto follower = followers_.find(path);
  if (follower == followers_.end()) {
    if (followers_.size() >= kFollowersMax) followers_.clear();
    follower = followers_.try_emplace(path, env_, path).first;
  }
  const absl::Status read = follower->second.Update();
  if (!absl::IsNotFound(read)) RETURN_IF_ERROR(read);
  if (read.ok()) {
    for (const auto& [name, curve] : follower->second.curves()) curves[name] = CurveToJson(curve);
  }
  return nlohmann::json{{"curves", std::move(curves)}};
}

absl::StatusOr<std::string> HomeView::Prometheus() {
  const MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Refresh());
  return PrometheusText(snapshot_->jobs, clock_.WallMs());
}

}  // namespace halcyon::coordinator
