// The signals that ask the job to stop, as a count: the first asks to save and end, the second to
// end at once. They are SIGINT, SIGTERM, SIGUSR1, SIGUSR2, and SIGHUP unless it was ignored at the
// start (nohup).
#ifndef HALCYON_COORDINATOR_STOP_SIGNALS_H_
#define HALCYON_COORDINATOR_STOP_SIGNALS_H_

#include <atomic>
#include <cstdint>

namespace halcyon::coordinator {

// Signals that come within this time of one that counted are the same request: a job manager that
// signals both a process and its group, a terminal that sends SIGHUP after SIGINT.
inline constexpr int64_t kSameRequestMs = 1000;

// Requests to stop, counted from the times at which signals came. Pure, and without locks: a signal
// handler may interrupt another thread's, or this thread's reading.
class StopCounter {
 public:
  // A signal at `now_ms`, which is not negative; the number of requests after it.
  int Signal(int64_t now_ms) {
    int64_t counted_ms = counted_ms_;
    while (counted_ms < 0 || now_ms - counted_ms >= kSameRequestMs) {
      if (counted_ms_.compare_exchange_weak(counted_ms, now_ms)) return ++requests_;
    }
    return requests_;
  }
  int requests() const { return requests_; }

 private:
  static_assert(std::atomic<int64_t>::is_always_lock_free && std::atomic<int>::is_always_lock_free);
  std::atomic<int64_t> counted_ms_ = -1;
  std::atomic<int> requests_ = 0;
};

// From here on these signals are counted. A third request ends the process at once; its workers
// notice and end by themselves. SIGPIPE is ignored: a reader of the progress may close its pipe.
void CountStopSignals();
int StopSignals();

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_STOP_SIGNALS_H_
