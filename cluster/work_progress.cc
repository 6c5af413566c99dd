#include "cluster/work_progress.h"

#include <algorithm>

namespace halcyon::cluster {

std::string_view NameOf(WorkPhase phase) {
  switch (phase) {
    case WorkPhase::kStarting:
      return "starting";
    case WorkPhase::kLoading:
      return "loading";
    case WorkPhase::kData:
      return "waiting for data";
    case WorkPhase::kForward:
      return "forward";
    case WorkPhase::kBackward:
      return "backward";
    case WorkPhase::kCollective:
      return "collective";
    case WorkPhase::kOptimizer:
      return "optimizer";
    case WorkPhase::kSaving:
      return "saving";
    case WorkPhase::kEvaluating:
      return "evaluating";
    case WorkPhase::kWriting:
      return "writing";
    case WorkPhase::kTask:
      return "task";
    case WorkPhase::kIdle:
      return "idle";
  }
  return "unknown";
}

std::string Describe(const Activity& activity) {
  std::string text;
  if (activity.step >= 0) text = "step " + std::to_string(activity.step) + ": ";
  if (activity.phase == NameOf(WorkPhase::kTask)) {
    text += activity.what;
  } else if (activity.phase == NameOf(WorkPhase::kCollective)) {
    text += activity.what + ", number " + std::to_string(activity.collective);
  } else {
    text += activity.phase + (activity.what.empty() ? "" : " " + activity.what);
  }
  if (!text.empty() && activity.age_ms >= 1000) {
    text += ", for " + std::to_string(activity.age_ms / 1000) + " s";
  }
  return text;
}

WorkProgress::WorkProgress(Clock* clock) : clock_(clock), advanced_ms_(clock->MonotonicMs()) {}

void WorkProgress::Enter(WorkPhase phase, std::string_view what) {
  const int64_t now_ms = clock_->MonotonicMs();
  const MutexLock lock(&mutex_);
  phase_ = phase;
  what_.assign(what);
  ++advances_;
  advanced_ms_ = now_ms;
}

void WorkProgress::Advance() {
  const int64_t now_ms = clock_->MonotonicMs();
  const MutexLock lock(&mutex_);
  ++advances_;
  advanced_ms_ = now_ms;
}

void WorkProgress::BeginStep(uint64_t step) {
  const MutexLock lock(&mutex_);
  step_ = static_cast<int64_t>(step);
}

void WorkProgress::EndSteps() {
  const MutexLock lock(&mutex_);
  step_ = -1;
}

Activity WorkProgress::Now(const CollectiveStanding& standing) const {
  const int64_t now_ms = clock_->MonotonicMs();
  const MutexLock lock(&mutex_);
  Activity activity;
  activity.phase = NameOf(standing.waits ? WorkPhase::kCollective : phase_);
  activity.what = standing.waits ? standing.name : what_;
  activity.step = step_;
  activity.advances = advances_ + standing.changes;
  activity.age_ms = std::max<int64_t>(0, now_ms - std::max(advanced_ms_, standing.changed_ms));
  activity.collectives = standing.started;
  activity.collective = standing.under_way;
  return activity;
}

}  // namespace halcyon::cluster
