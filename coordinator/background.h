// Work that blocks, on a thread of its own and in the order in which it was posted: files that must
// be synced, text that is read whole, processes whose end is waited for.
#ifndef HALCYON_COORDINATOR_BACKGROUND_H_
#define HALCYON_COORDINATOR_BACKGROUND_H_

#include <deque>
#include <functional>
#include <optional>
#include <thread>

#include "base/mutex.h"

namespace halcyon::coordinator {

// Post, Collect and Drain are called by one thread, the owner's.
class Background {
 public:
  // What is left to do when the work is done, on the owner's thread.
  using Rest = std::function<void()>;
  using Work = std::function<Rest()>;

  Background() = default;
  // Does what was posted first.
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // From here on work is done by a thread, which calls `wake` after each. Without it Post does the
  // work, which lets a test drive everything from one thread.
  void StartThread(std::function<void()> wake);

  void Post(Work work);
  // Runs the rests of work that is done, in order.
  void Collect();
  // Waits until all that was posted is done, then collects.
  void Drain();

 private:
  void Run();
  std::optional<Work> Next();

  std::function<void()> wake_;
  Mutex mutex_;
  ConditionVariable changed_;
  std::deque<Work> work_ ABSL_GUARDED_BY(mutex_);
  std::deque<Rest> rests_ ABSL_GUARDED_BY(mutex_);
  bool is_working_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<std::jthread> thread_;  // last: it uses all the others
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_BACKGROUND_H_
