// metrics.jsonl: one JSON object a line, the figures of each step and each evaluation. For people
// and plots: nothing is read back from it, so it is not synced.
#ifndef HALCYON_WORKER_TRAINING_METRICS_LOG_H_
#define HALCYON_WORKER_TRAINING_METRICS_LOG_H_

#include <cstdint>
#include <fstream>
#include <string>

#include <nlohmann/json.hpp>

#include "base/status.h"

namespace halcyon::worker {

class MetricsLog {
 public:
  explicit MetricsLog(std::string path) : path_(std::move(path)) {}
  // Drops the lines of steps after `step`, which are about to be made again.
  absl::Status Open(uint64_t step);
  void Write(uint64_t step, nlohmann::json figures);

 private:
  std::string path_;
  std::ofstream file_;
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TRAINING_METRICS_LOG_H_
