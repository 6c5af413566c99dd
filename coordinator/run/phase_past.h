// How long the phases of a stage's work have lasted, and so how long one may last before it counts
// as hanging. Pure.
#ifndef HALCYON_COORDINATOR_RUN_PHASE_PAST_H_
#define HALCYON_COORDINATOR_RUN_PHASE_PAST_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>

#include "base/ids.h"
#include "cluster/messages.h"

namespace halcyon::coordinator {

// Of [launch]. A phase hangs when it lasts longer than floor_ms and longer than `factor` times the
// longest of its recent past. While nothing is known of it, it may last kUnknownFactor floors.
struct HangLimits {
  int64_t floor_ms = 300'000;  // 0: nothing ever hangs
  double factor = 10;
};
inline constexpr int64_t kUnknownFactor = 6;

// Learns from heartbeats, each of which says for how long its phase has lasted: what lasts long is
// seen often, and what a heartbeat misses is shorter than the time between two.
class PhasePast {
 public:
  explicit PhasePast(const HangLimits& limits) : limits_(limits) {}

  // The worker did `before`, and has gone on since: that has ended.
  void Ended(const std::string& phase, int64_t lasted_ms) {
    Past& past = pasts_[phase];
    past.longest_ms = std::max(past.longest_ms, lasted_ms);
    if (++past.count < kRecentMax) return;
    past = {.longest_before_ms = past.longest_ms};
  }

  // The longest of the recent ones; -1 when none is known.
  int64_t LongestMs(const std::string& phase) const {
    const auto it = pasts_.find(phase);
    return it == pasts_.end() ? -1 : std::max(it->second.longest_ms, it->second.longest_before_ms);
  }
  int64_t LimitMs(const std::string& phase) const {
    const int64_t longest_ms = LongestMs(phase);
    if (longest_ms < 0) return kUnknownFactor * limits_.floor_ms;
    return std::max(limits_.floor_ms,
                    static_cast<int64_t>(limits_.factor * static_cast<double>(longest_ms)));
  }
  bool Hangs(const std::string& phase, int64_t age_ms) const {
    return limits_.floor_ms > 0 && age_ms > LimitMs(phase);
  }

 private:
  // Recent are the last kRecentMax and, of those before, as many at most.
  static constexpr int kRecentMax = 1024;
  struct Past {
    int64_t longest_ms = 0, longest_before_ms = 0;
    int count = 0;
  };
  HangLimits limits_;
  std::map<std::string, Past> pasts_;
};

// Of one worker: tells `past` what has ended, beat by beat.
class PhaseReader {
 public:
  // `key`: under which the past knows the phase.
  void Take(const cluster::Activity& activity, const std::string& key, PhasePast* past) {
    const bool has_gone_on = activity.advances != advances_ || key != key_;
    if (has_gone_on && !key_.empty()) past->Ended(key_, age_ms_);
    key_ = key;
    advances_ = activity.advances;
    age_ms_ = activity.age_ms;
  }

 private:
  std::string key_;
  uint64_t advances_ = 0;
  int64_t age_ms_ = 0;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_RUN_PHASE_PAST_H_
