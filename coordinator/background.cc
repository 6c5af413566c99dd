#include "coordinator/background.h"

#include <utility>

namespace halcyon::coordinator {

Background::~Background() {
  const MutexLock lock(&mutex_);
  closing_ = true;
  changed_.NotifyAll();
}

void Background::StartThread(std::function<void()> wake) {
  wake_ = std::move(wake);
  thread_.emplace([this] { Run(); });
}

void Background::Post(Work work) {
  if (!thread_) {
    Rest rest = work();
    const MutexLock lock(&mutex_);
    rests_.push_back(std::move(rest));
    return;
  }
  const MutexLock lock(&mutex_);
  work_.push_back(std::move(work));
  changed_.NotifyAll();
}

void Background::Run() {
  while (std::optional<Work> work = Next()) {
    Rest rest = (*work)();
    work.reset();
    {
      const MutexLock lock(&mutex_);
      rests_.push_back(std::move(rest));
      is_working_ = false;
      changed_.NotifyAll();
    }
    wake_();
  }
}

std::optional<Background::Work> Background::Next() {
  const MutexLock lock(&mutex_);
  changed_.Wait(&mutex_, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !work_.empty() || closing_;
  });
  if (work_.empty()) return std::nullopt;
  Work work = std::move(work_.front());
  work_.pop_front();
  is_working_ = true;
  return work;
}

void Background::Collect() {
  std::deque<Rest> rests;
  {
    const MutexLock lock(&mutex_);
    rests.swap(rests_);
  }
  for (const Rest& rest : rests) rest();
}

void Background::Drain() {
  {
    const MutexLock lock(&mutex_);
    changed_.Wait(&mutex_, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return work_.empty() && !is_working_;
    });
  }
  Collect();
}

}  // namespace halcyon::coordinator
