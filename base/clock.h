// Time as a dependency: code that waits or measures takes a Clock, so that tests own the time.
#ifndef HALCYON_BASE_CLOCK_H_
#define HALCYON_BASE_CLOCK_H_

#include <cstdint>
#include <functional>

namespace halcyon {

// Thread-safe. Values are milliseconds, or microseconds where the name says so.
class Clock {
 public:
  virtual ~Clock() = default;
  // Since an arbitrary start; never goes back.
  virtual int64_t MonotonicMs() const = 0;
  virtual int64_t MonotonicUs() const { return 1000 * MonotonicMs(); }
  // Since 1970-01-01 UTC.
  virtual int64_t WallMs() const = 0;
  virtual void SleepMs(int64_t duration_ms) = 0;
  virtual void SleepUs(int64_t duration_us) { SleepMs((duration_us + 999) / 1000); }

  // Polls `condition` every `poll_ms` until it holds or `timeout_ms` passed; its last value.
  bool WaitFor(const std::function<bool()>& condition, int64_t timeout_ms, int64_t poll_ms = 10);

  // The machine's clock; never destroyed.
  static Clock* Real();
};

// Stands still until it is moved. Sleeping moves it. Not thread-safe.
class SimulatedClock : public Clock {
 public:
  explicit SimulatedClock(int64_t now_ms = 0) : now_ms_(now_ms) {}
  int64_t MonotonicMs() const override { return now_ms_; }
  int64_t WallMs() const override { return now_ms_; }
  void SleepMs(int64_t duration_ms) override { now_ms_ += duration_ms; }
  void AdvanceMs(int64_t duration_ms) { now_ms_ += duration_ms; }

 private:
  int64_t now_ms_;
};

// Processor time that the calling thread has used.
int64_t ThreadCpuUs();

}  // namespace halcyon

#endif  // HALCYON_BASE_CLOCK_H_
