// A mutex whose use clang checks: members say which lock guards them (ABSL_GUARDED_BY), functions
// which they need (ABSL_EXCLUSIVE_LOCKS_REQUIRED), and -Wthread-safety refuses what breaks it.
//
// libstdc++'s std::mutex has no such annotations. absl::Mutex has, but ThreadSanitizer takes every
// use of the distribution's build of it for a race, because that build is not instrumented.
#ifndef HALCYON_BASE_MUTEX_H_
#define HALCYON_BASE_MUTEX_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "absl/base/thread_annotations.h"

namespace halcyon {

class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }

 private:
  friend class ConditionVariable;
  std::mutex mutex_;
};

// Holds a mutex from its construction to its destruction.
class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) {
    mutex_->Lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mutex_;
};

// `condition` is called with the mutex held. A lambda that reads guarded members says so:
//   changed_.Wait(&mutex_, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ready_; });
class ConditionVariable {
 public:
  // Returns when the condition holds.
  template <typename Condition>
  void Wait(Mutex* mutex, Condition condition) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::unique_lock lock(mutex->mutex_, std::adopt_lock);
    condition_.wait(lock, condition);
    lock.release();
  }
  // Returns when the condition holds or `timeout_ms` passed, with the condition's last value.
  template <typename Condition>
  bool WaitFor(Mutex* mutex, int64_t timeout_ms, Condition condition)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::unique_lock lock(mutex->mutex_, std::adopt_lock);
    const bool holds = condition_.wait_for(lock, std::chrono::milliseconds(timeout_ms), condition);
    lock.release();
    return holds;
  }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace halcyon

#endif  // HALCYON_BASE_MUTEX_H_
