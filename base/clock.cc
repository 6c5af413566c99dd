#include "base/clock.h"

#include <chrono>
#include <thread>

namespace halcyon {
namespace {

class RealClock : public Clock {
 public:
  int64_t MonotonicMs() const override {
    return Milliseconds(std::chrono::steady_clock::now().time_since_epoch());
  }
  int64_t WallMs() const override {
    return Milliseconds(std::chrono::system_clock::now().time_since_epoch());
  }
  void SleepMs(int64_t duration_ms) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(duration_ms));
  }

 private:
  template <typename Duration>
  static int64_t Milliseconds(Duration since) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
  }
};

}  // namespace

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
