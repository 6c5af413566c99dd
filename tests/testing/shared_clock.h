// A clock that a test moves while threads of what it tests read it.
#ifndef HALCYON_TESTS_TESTING_SHARED_CLOCK_H_
#define HALCYON_TESTS_TESTING_SHARED_CLOCK_H_

#include <atomic>
#include <cstdint>

#include "base/clock.h"

namespace halcyon::testing {

// Stands still until it is moved; sleeping moves it. Thread-safe.
class SharedClock : public Clock {
 public:
  int64_t MonotonicMs() const override { return now_ms_; }
  int64_t WallMs() const override { return now_ms_; }
  void SleepMs(int64_t duration_ms) override { now_ms_ += duration_ms; }

 private:
  std::atomic<int64_t> now_ms_ = 1000;
};

}  // namespace halcyon::testing

#endif  // HALCYON_TESTS_TESTING_SHARED_CLOCK_H_
