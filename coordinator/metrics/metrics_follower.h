// The curves of a metrics.jsonl (docs/metrics.md) that may still grow: each look reads only what
// was added since the last one.
#ifndef HALCYON_COORDINATOR_METRICS_METRICS_FOLLOWER_H_
#define HALCYON_COORDINATOR_METRICS_METRICS_FOLLOWER_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/env.h"
#include "base/status.h"
#include "coordinator/job_status.h"
#include "coordinator/metrics/curve_summary.h"
#include "storage/home.h"

namespace halcyon::coordinator {

// Where the metrics of a stage are: in its artifact, else in its work folder. They may be missing.
// REQUIRES: its fingerprint is known.
std::string MetricsPath(Env& env, const storage::HomeLayout& home, const StageStatus& stage);

// Not thread-safe.
class MetricsFollower {
 public:
  MetricsFollower(Env& env, std::string path) : env_(env), path_(std::move(path)) {}

  // Reads what is new. A file that was replaced or cut (a resumed stage drops the lines of the
  // steps that it makes again) is read anew. kNotFound when there is none.
  absl::Status Update();
  // By the names of the figures: "loss", "eval.heldout_loss".
  const std::map<std::string, CurveSummary>& curves() const { return curves_; }

 private:
  absl::StatusOr<bool> HasBeenReplaced(uint64_t size);
  void Take(std::string_view lines);

  Env& env_;
  const std::string path_;
  uint64_t read_ = 0;      // bytes, of whole lines
  std::string last_line_;  // that was read, with its newline
  std::map<std::string, CurveSummary> curves_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_METRICS_METRICS_FOLLOWER_H_
