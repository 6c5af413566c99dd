// Notices that this very process did not run: it was stopped, its machine was suspended or moved.
// Others' silence during that time says nothing about them.
#ifndef HALCYON_CLUSTER_PAUSE_DETECTOR_H_
#define HALCYON_CLUSTER_PAUSE_DETECTOR_H_

#include <cstdint>
#include <optional>

namespace halcyon::cluster {

// Turns of a loop that waits for milliseconds are never this far apart while its process runs.
// Shorter pauses need no care: what came meanwhile is read before anybody is taken for silent.
inline constexpr int64_t kPauseMsMin = 2000;

// Pure. Not thread-safe. Times are of one clock that never goes back.
class PauseDetector {
 public:
  // One turn of the loop; true when the process stood still since the turn before.
  bool Turn(int64_t now_ms) {
    const bool paused = last_ms_ && now_ms - *last_ms_ >= kPauseMsMin;
    last_ms_ = now_ms;
    return paused;
  }

 private:
  std::optional<int64_t> last_ms_;
};

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_PAUSE_DETECTOR_H_
