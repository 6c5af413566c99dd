// With how many ranks, and without which machines, a gang is launched next. Pure.
//
// A machine with a fault is left out for a while, when the gang has been seen on others too. A gang
// that does not come up is tried once more, or without further ado when a machine is left out, with
// fewer ranks, down to launch.ranks_min; where that is not allowed on all machines again. After
// progress all ranks are tried again at the next launch.
#ifndef HALCYON_COORDINATOR_RUN_LAUNCH_PLAN_H_
#define HALCYON_COORDINATOR_RUN_LAUNCH_PLAN_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace halcyon::coordinator {

// How long a machine with a fault is left out.
inline constexpr int64_t kExcludedMs = 10 * 60'000;

class LaunchPlan {
 public:
  LaunchPlan(int64_t ranks, int64_t ranks_min)
      : ranks_max_(ranks), ranks_min_(std::clamp<int64_t>(ranks_min, 1, ranks)), ranks_(ranks) {}

  int64_t ranks() const { return ranks_; }
  int64_t ranks_max() const { return ranks_max_; }
  std::vector<std::string> ExcludedAt(int64_t now_ms) const {
    std::vector<std::string> hosts;
    for (const auto& [host, until_ms] : excluded_until_ms_) {
      if (now_ms < until_ms) hosts.push_back(host);
    }
    return hosts;
  }

  // The gang has committed work since it was last launched.
  void Progress() {
    ranks_ = ranks_max_;
    not_come_up_ = 0;
  }
  // The machine had a fault; `ranks_by_host`: where the gang was. True when it is left out.
  bool Exclude(const std::string& host, const std::map<std::string, size_t>& ranks_by_host,
               int64_t now_ms) {
    if (host.empty() || !ranks_by_host.contains(host)) return false;
    const auto excluded = ExcludedAt(now_ms);
    const auto is_left = [&](const auto& one) {
      return one.first != host &&
             std::find(excluded.begin(), excluded.end(), one.first) == excluded.end();
    };
    if (std::none_of(ranks_by_host.begin(), ranks_by_host.end(), is_left)) return false;
    excluded_until_ms_[host] = now_ms + kExcludedMs;
    return true;
  }
  // A launch did not come up; `came_up` of its ranks did. True when the next one is another: it has
  // fewer ranks, or may use every machine again.
  bool NotComeUp(int64_t came_up, const std::map<std::string, size_t>& ranks_by_host,
                 int64_t now_ms) {
    const std::vector<std::string> excluded = ExcludedAt(now_ms);
    ++not_come_up_;
    if (ranks_ > ranks_min_) {
      // What fails once for no known reason may well come up the next time.
      if (not_come_up_ == 1 && excluded.empty()) return false;
      int64_t lost = 0;
      for (const std::string& host : excluded) {
        const auto it = ranks_by_host.find(host);
        if (it != ranks_by_host.end()) lost += static_cast<int64_t>(it->second);
      }
      const int64_t fewer = came_up > 0 && came_up < ranks_ ? came_up
                            : ranks_ == ranks_max_          ? ranks_ - std::max<int64_t>(1, lost)
                                                            : ranks_ - 1;
      ranks_ = std::max(ranks_min_, fewer);
      return true;
    }
    excluded_until_ms_.clear();
    return !excluded.empty();
  }

 private:
  int64_t ranks_max_, ranks_min_, ranks_;
  int64_t not_come_up_ = 0;  // launches since the last progress
  std::map<std::string, int64_t> excluded_until_ms_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_RUN_LAUNCH_PLAN_H_
