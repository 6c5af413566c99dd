#include "coordinator/run/stop_schedule.h"

#include <algorithm>

namespace halcyon::coordinator {
namespace {

// A figure of a stage in milliseconds; 0: it is not there.
int64_t FigureMs(const StageStatus& stage, const char* name) {
  constexpr double kSecondsMax = 1e9;
  const auto found = stage.figures.find(name);
  if (found == stage.figures.end() || !found->is_number()) return 0;
  const double seconds = found->get<double>();
  return seconds > 0 && seconds < kSecondsMax ? static_cast<int64_t>(1000 * seconds) : 0;
}

}  // namespace

int64_t SaveMsOf(const JobStatus& status) {
  int64_t save_ms = 0;
  for (const StageStatus& stage : status.stages) {
    save_ms = std::max(save_ms, FigureMs(stage, "save_seconds"));
  }
  return save_ms;
}

int64_t StopSchedule::LeadMs(const JobStatus& status) {
  save_ms_ = std::max(save_ms_, SaveMsOf(status));
  int64_t step_ms = 0;
  bool trains = false;
  for (const StageStatus& stage : status.stages) {
    if (stage.state != jobs::StageState::kRunning || stage.steps == 0) continue;
    trains = true;
    step_ms = std::max(step_ms, FigureMs(stage, "step_seconds"));
  }
  // Tasks are not waited for: what is not done is done again.
  return margin_ms_ + (trains ? 2 * (step_ms + save_ms_) : 0);
}

int StopSchedule::Requests(const StopFacts& facts, const JobStatus& status) {
  if (!time_is_up_ && facts.end_ms > 0 && facts.asked == 0) {
    time_is_up_ = facts.wall_ms >= facts.end_ms - LeadMs(status);
  }
  requests_ = std::max({requests_, facts.asked, time_is_up_ ? 1 : 0});
  if (requests_ == 0) return 0;
  if (!first_ms_) first_ms_ = facts.monotonic_ms;
  if (grace_ms_ > 0 && facts.monotonic_ms - *first_ms_ >= grace_ms_) {
    requests_ = std::max(requests_, 2);
  }
  return requests_;
}

}  // namespace halcyon::coordinator
