// The same work on many items by several threads. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_FOR_ALL_H_
#define HALCYON_PIPELINE_FOR_ALL_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace halcyon::pipeline {

// One a processor that this process may use; at least 1.
inline size_t ProcessorCount() { return std::max(1u, std::thread::hardware_concurrency()); }

// Calls work(item, thread) once for each item 0 ... count - 1, in any order, on at most `threads`
// threads, which have the numbers 0 ... threads - 1; the calling thread is one of them. Returns
// when all is done. REQUIRES: threads >= 1; `work` does not throw.
template <typename Work>
void ForAll(size_t count, size_t threads, const Work& work) {
  std::atomic<size_t> next = 0;
  const auto work_as = [&](size_t thread) {
    for (size_t item = next++; item < count; item = next++) work(item, thread);
  };
  std::vector<std::jthread> others;
  for (size_t thread = 1; thread < std::min(count, threads); ++thread) {
    others.emplace_back(work_as, thread);
  }
  work_as(0);
}

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_FOR_ALL_H_
