// How often a process that failed is started again. Pure.
#ifndef HALCYON_COORDINATOR_RESTART_BUDGET_H_
#define HALCYON_COORDINATOR_RESTART_BUDGET_H_

#include <algorithm>
#include <cstdint>

namespace halcyon::coordinator {

enum class EndCause {
  kFailure,      // it worked, and then failed
  kBeforeHello,  // it ended before it had sent anything: the next one most likely does the same
  kOwnPause,     // this process had been stopped meanwhile, so it does not count
};

// Counts failures since the last durable progress (a committed checkpoint, a finished task), which
// sets the count to 0.
class RestartBudget {
 public:
  // `restarts_max`: launch.restarts_max.
  explicit RestartBudget(int64_t restarts_max) : restarts_max_(restarts_max) {}

  void Progress() { failures_ = before_hello_ = 0; }
  // It ended. Whether it may be started once more.
  bool MayStartAgain(EndCause cause) {
    if (cause == EndCause::kOwnPause) return true;
    ++failures_;
    before_hello_ = cause == EndCause::kBeforeHello ? before_hello_ + 1 : 0;
    return failures_ <= restarts_max_ &&
           before_hello_ <= std::min(restarts_max_, kBeforeHelloRestartsMax);
  }
  int64_t failures() const { return failures_; }

 private:
  static constexpr int64_t kBeforeHelloRestartsMax = 1;
  int64_t restarts_max_;
  int64_t failures_ = 0;      // in a row
  int64_t before_hello_ = 0;  // in a row
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_RESTART_BUDGET_H_
