// Notices that this process did not run for a while: it was stopped, or its machine was suspended
// or moved. That nothing came from others during that time does not mean that they failed.
#ifndef HALCYON_CLUSTER_PAUSE_DETECTOR_H_
#define HALCYON_CLUSTER_PAUSE_DETECTOR_H_

#include <cstdint>
#include <optional>

namespace halcyon::cluster {

// Turns of a loop that waits for milliseconds are never this far apart while its process runs.
// Shorter pauses do no harm: messages that came meanwhile are read before a timeout is judged.
inline constexpr int64_t kPauseMsMin = 2000;

// Pure. Not thread-safe. Times are of one clock that never goes back.
class PauseDetector {
 public:
  // Called at each turn of the loop; true when the process did not run since the turn before.
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
