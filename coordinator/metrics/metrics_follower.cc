#include "coordinator/metrics/metrics_follower.h"

#include <algorithm>

#include "coordinator/metrics/metrics_table.h"
#include "coordinator/work/work_folders.h"
#include "jobs/stages.h"

namespace halcyon::coordinator {
namespace {

constexpr size_t kCurvePointsMax = 600;
constexpr uint64_t kReadBytesMax = 4 << 20;
constexpr const char* kFollowed[] = {"loss", "eval.heldout_loss", "eval.brier_lm", "tokens_per_s"};

}  // namespace

std::string MetricsPath(Env& env, const storage::HomeLayout& home, const StageStatus& stage) {
  const std::string kind(jobs::StageName(stage.kind));
  const std::string kept = JoinPath(home.Artifact(kind, stage.fingerprint), kMetricsFileName);
  return env.Exists(kept) ? kept : JoinPath(home.Work(kind, stage.fingerprint), kMetricsFileName);
}

absl::Status MetricsFollower::Update() {
  ASSIGN_OR_RETURN(const uint64_t size, env_.FileSize(path_));
  ASSIGN_OR_RETURN(const bool replaced, HasBeenReplaced(size));
  if (replaced) {
    read_ = 0;
    last_line_.clear();
    curves_.clear();
  }
  while (read_ < size) {
    const uint64_t wanted = std::min(size - read_, kReadBytesMax);
    ASSIGN_OR_RETURN(std::string text, env_.ReadRange(path_, read_, wanted));
    // A partial line is read once its end has been written.
    text.resize(text.rfind('\n') + 1);
    if (text.empty()) break;
    Take(text);
    read_ += text.size();
    const size_t before = text.size() < 2 ? std::string::npos : text.rfind('\n', text.size() - 2);
    last_line_ = before == std::string::npos ? text : text.substr(before + 1);
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> MetricsFollower::HasBeenReplaced(uint64_t size) {
  if (read_ == 0) return false;
  if (size < read_) return true;
  // The line holds its step's time, so that another file has another one.
  ASSIGN_OR_RETURN(const std::string line,
                   env_.ReadRange(path_, read_ - last_line_.size(), last_line_.size()));
  return line != last_line_;
}

void MetricsFollower::Take(std::string_view lines) {
  for (const MetricsRow& row : ParseMetrics(lines).rows) {
    for (const char* name : kFollowed) {
      const auto value = row.values.find(name);
      if (value == row.values.end()) continue;
      CurveSummary& curve = curves_.try_emplace(name, kCurvePointsMax).first->second;
      // Only a damaged file goes back.
      if (!curve.points().empty() && row.step <= curve.points().back().step) continue;
      curve.Add(row.step, value->second);
    }
  }
}

}  // namespace halcyon::coordinator
