// A simulated process: what it does later happens only while it lives, and not while it is stopped
// (SIGSTOP, a suspended machine).
#ifndef HALCYON_TESTS_SIMULATION_PROCESS_H_
#define HALCYON_TESTS_SIMULATION_PROCESS_H_

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "tests/simulation/timeline.h"

namespace halcyon::simulation {

// Made by std::make_shared alone.
class Process : public std::enable_shared_from_this<Process> {
 public:
  Process(Timeline* time, size_t host) : time_(time), host_(host) {}
  virtual ~Process() = default;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  bool alive() const { return alive_; }
  size_t host() const { return host_; }  // of the world's
  int64_t paused_until_ms() const { return paused_until_ms_; }
  void PauseUntil(int64_t time_ms) {
    paused_until_ms_ = std::max(paused_until_ms_, time_ms);
    Wake();
  }
  void Continue() {
    paused_until_ms_ = 0;
    Wake();
  }

 protected:
  void Later(int64_t delay_ms, std::function<void()> action) {
    time_->After(delay_ms, [self = shared_from_this(), action = std::move(action)]() mutable {
      self->Run(std::move(action));
    });
  }
  void Die() { alive_ = false; }
  bool is_paused() const { return time_->now_ms() < paused_until_ms_; }

 private:
  void Run(std::function<void()> action) {
    if (!alive_) return;
    if (!is_paused() && held_.empty()) return action();
    held_.push_back(std::move(action));
    Wake();
  }
  // Has what a pause held back done when it has ended, in order.
  void Wake() {
    time_->At(paused_until_ms_, [self = shared_from_this()] {
      while (self->alive_ && !self->is_paused() && !self->held_.empty()) {
        const std::function<void()> action = std::move(self->held_.front());
        self->held_.pop_front();
        action();
      }
    });
  }

  Timeline* time_;
  size_t host_;
  bool alive_ = true;
  int64_t paused_until_ms_ = 0;
  std::deque<std::function<void()>> held_;
};

}  // namespace halcyon::simulation

#endif  // HALCYON_TESTS_SIMULATION_PROCESS_H_
