// How often a process that failed is started again, and after which wait. Pure.
#ifndef HALCYON_COORDINATOR_RUN_RESTART_BUDGET_H_
#define HALCYON_COORDINATOR_RUN_RESTART_BUDGET_H_

#include <algorithm>
#include <cstdint>
#include <optional>

namespace halcyon::coordinator {

// Bad input is no cause of these: it ends the job at once (EndsJob in scheduler.h).
enum class EndCause {
  kFailure,      // it worked, and then failed, for a reason that is not known
  kBeforeHello,  // it ended before it had sent anything: the next one most likely does the same
  kNotStarted,   // its launcher could not start it, which another try may (SaysNotStarted)
  kNodeFault,    // its machine, or the network to it
  kOutOfMemory,  // it said so itself: the next one most likely does the same
  kPreempted,    // it was told to end by something else than this coordinator, and had saved
  kOwnPause,     // this process had been stopped meanwhile
};

// Counts failures since the last durable progress (a committed checkpoint, a finished task), which
// sets the counts to 0. Preemptions, this process' own pauses and a few starts that the launcher
// could not make are no failures.
class RestartBudget {
 public:
  // `restarts_max`: launch.restarts_max.
  explicit RestartBudget(int64_t restarts_max) : restarts_max_(restarts_max) {}

  void Progress() { failures_ = same_again_ = preemptions_ = not_started_ = 0; }

  // It ended. How long to wait before it is started once more: 1, 2, 4, ... s by the number of
  // failures, kWaitMsMax at most; nullopt: it is not started again.
  std::optional<int64_t> WaitMsAfter(EndCause cause) {
    if (cause == EndCause::kOwnPause) return 0;
    if (cause == EndCause::kPreempted) {
      // Without a limit, something that ends it each time would go on for ever.
      if (++preemptions_ > kPreemptionsMax) return std::nullopt;
      return 0;
    }
    if (cause == EndCause::kNotStarted) {
      if (++not_started_ > kNotStartedMax) return std::nullopt;
      return kWaitMsMin;
    }
    ++failures_;
    const bool recurs = cause == EndCause::kBeforeHello || cause == EndCause::kOutOfMemory;
    same_again_ = recurs ? same_again_ + 1 : 0;
    if (failures_ > restarts_max_ || same_again_ > std::min(restarts_max_, kSameAgainMax)) {
      return std::nullopt;
    }
    return WaitMs(failures_);
  }
  int64_t failures() const { return failures_; }

  static constexpr int64_t kWaitMsMin = 1000, kWaitMsMax = 60'000;
  static constexpr int64_t kPreemptionsMax = 100;
  static constexpr int64_t kNotStartedMax = 4;

 private:
  static int64_t WaitMs(int64_t failures) {
    return failures > 6 ? kWaitMsMax : std::min<int64_t>(kWaitMsMax, kWaitMsMin << (failures - 1));
  }
  static constexpr int64_t kSameAgainMax = 1;
  int64_t restarts_max_;
  int64_t failures_ = 0;     // in a row
  int64_t same_again_ = 0;   // in a row, of those that most likely recur
  int64_t preemptions_ = 0;  // in a row
  int64_t not_started_ = 0;  // in a row
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_RUN_RESTART_BUDGET_H_
