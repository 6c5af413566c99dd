// metrics.jsonl: one JSON object a line, the figures of each step and each evaluation, with the
// time they were made at (docs/metrics.md). For people and plots: training depends on nothing in
// it, so it is not synced, and a line that cannot be written is left out with a warning.
#ifndef HALCYON_WORKER_TRAINING_METRICS_LOG_H_
#define HALCYON_WORKER_TRAINING_METRICS_LOG_H_

#include <cstdint>
#include <fstream>
#include <string>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/status.h"

namespace halcyon::worker {

// Not thread-safe. `clock` outlives it.
class MetricsLog {
 public:
  MetricsLog(std::string path, Clock* clock) : path_(std::move(path)), clock_(clock) {}
  // Drops the lines of steps after `step`, which are about to be made again.
  absl::Status Open(uint64_t step);
  void Write(uint64_t step, nlohmann::json figures);
  // The figures of the last step before `step` was reached, as Open found them; null when the file
  // has none.
  const nlohmann::json& LastFigures() const { return last_figures_; }
  // Puts a synced copy beside the weights. REQUIRES: Open returned OK.
  absl::Status CopyTo(const std::string& path);

 private:
  std::string path_;
  Clock* clock_;
  std::ofstream file_;
  nlohmann::json last_figures_;
  bool warned_ = false;
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TRAINING_METRICS_LOG_H_
