// The clock of a simulation, and what is to happen on it, in order of time; at the same time in the
// order in which it was asked for.
#ifndef HALCYON_TESTS_SIMULATION_TIMELINE_H_
#define HALCYON_TESTS_SIMULATION_TIMELINE_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace halcyon::simulation {

class Timeline {
 public:
  int64_t now_ms() const { return now_ms_; }

  void At(int64_t time_ms, std::function<void()> action) {
    heap_.push_back({std::max(time_ms, now_ms_), next_++, std::move(action)});
    std::push_heap(heap_.begin(), heap_.end(), Later);
  }
  void After(int64_t delay_ms, std::function<void()> action) {
    At(now_ms_ + delay_ms, std::move(action));
  }

  // Moves the clock to the next action and does it; false when there is none.
  bool RunNext() {
    if (heap_.empty()) return false;
    std::pop_heap(heap_.begin(), heap_.end(), Later);
    const Item item = std::move(heap_.back());
    heap_.pop_back();
    now_ms_ = item.time_ms;
    item.action();
    return true;
  }

 private:
  struct Item {
    int64_t time_ms;
    uint64_t number;
    std::function<void()> action;
  };
  static bool Later(const Item& a, const Item& b) {
    return a.time_ms != b.time_ms ? a.time_ms > b.time_ms : a.number > b.number;
  }

  int64_t now_ms_ = 0;
  uint64_t next_ = 0;
  std::vector<Item> heap_;
};

}  // namespace halcyon::simulation

#endif  // HALCYON_TESTS_SIMULATION_TIMELINE_H_
