#include "base/clock.h"

#include <time.h>

#include <chrono>
#include <thread>

namespace halcyon {
namespace {

class RealClock : public Clock {
 public:
  int64_t MonotonicMs() const override { return MonotonicUs() / 1000; }
  int64_t MonotonicUs() const override {
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(since).count();
  }
  int64_t WallMs() const override {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
  }
  void SleepMs(int64_t duration_ms) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(duration_ms));
  }
  void SleepUs(int64_t duration_us) override {
    std::this_thread::sleep_for(std::chrono::microseconds(duration_us));
  }
};

}  // namespace

int64_t ThreadCpuUs() {
  timespec used;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return used.tv_sec * int64_t{1'000'000} + used.tv_nsec / 1000;
}

bool Clock::WaitFor(const std::function<bool()>& condition, int64_t timeout_ms, int64_t poll_ms) {
  const int64_t deadline_ms = MonotonicMs() + timeout_ms;
  while (!condition()) {
    if (MonotonicMs() >= deadline_ms) return condition();
    SleepMs(poll_ms);
  }
  return true;
}

Clock* Clock::Real() {
  static RealClock* clock = new RealClock;
  return clock;
}

}  // namespace halcyon
