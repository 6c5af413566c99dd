#include "cluster/failure_detector.h"

namespace halcyon::cluster {

void FailureDetector::RestartTimeouts(int64_t now_ms) {
  for (auto& [worker, last_ms] : last_message_ms_) last_ms = now_ms;
}

int64_t FailureDetector::SilentMs(const WorkerId& worker, int64_t now_ms) const {
  const auto it = last_message_ms_.find(worker);
  return it == last_message_ms_.end() ? 0 : now_ms - it->second;
}

std::vector<WorkerId> FailureDetector::Suspects(int64_t now_ms) const {
  std::vector<WorkerId> suspects;
  for (const auto& [worker, last_ms] : last_message_ms_) {
    if (now_ms - last_ms >= timeout_ms_) suspects.push_back(worker);
  }
  return suspects;
}

}  // namespace halcyon::cluster
