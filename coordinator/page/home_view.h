// What the page shows: the jobs of a state folder as JSON, from its files alone.
#ifndef HALCYON_COORDINATOR_PAGE_HOME_VIEW_H_
#define HALCYON_COORDINATOR_PAGE_HOME_VIEW_H_

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/env.h"
#include "base/mutex.h"
#include "base/status.h"
#include "coordinator/job_status.h"
#include "coordinator/metrics/metrics_follower.h"
#include "storage/home.h"

namespace halcyon::coordinator {

// Thread-safe. Reads and never writes, and waits for no job. However many pages ask, the statuses
// are read once a second at most. A name in a request is looked up among the jobs that are there
// and never becomes part of a path by itself.
class HomeView {
 public:
  // All jobs, the last changed first, in their present states; what cannot be read goes to
  // `unreadable`.
  using ListJobs =
      std::function<absl::StatusOr<std::vector<JobStatus>>(std::vector<std::string>* unreadable)>;

  HomeView(Env& env, Clock& clock, storage::HomeLayout home, ListJobs list_jobs)
      : env_(env), clock_(clock), home_(std::move(home)), list_jobs_(std::move(list_jobs)) {}

  // {"home", "now_ms", "unreadable", "jobs": [{"job_id", "name", "state", "error", "started_ms",
  // "updated_ms", "total_ms", "fraction", "at"}]}
  absl::StatusOr<nlohmann::json> Jobs();
  // {"now_ms", "job": its status.json with "total_ms", and "has_metrics" of each stage,
  // "messages": [{"time", "level", "fields", "message"}], the coordinator's last warnings and
  // errors}. kNotFound.
  absl::StatusOr<nlohmann::json> Job(const std::string& job_id);
  // {"curves": {"loss": {"steps", "mean", "low", "high"}, ...}}; each point stands for the steps up
  // to its own. kNotFound: no such job or stage. A stage that has measured nothing has no curves.
  absl::StatusOr<nlohmann::json> Curves(const std::string& job_id, const std::string& stage_label);
  // All jobs, for Prometheus (page/prometheus_text.h).
  absl::StatusOr<std::string> Prometheus();

 private:
  struct Snapshot {
    int64_t read_ms = 0;  // monotonic
    std::vector<JobStatus> jobs;
    std::vector<std::string> unreadable;
  };
  absl::Status Refresh() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<JobStatus> Find(const std::string& job_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  nlohmann::json Messages(const std::string& job_id) const;

  Env& env_;
  Clock& clock_;
  const storage::HomeLayout home_;
  const ListJobs list_jobs_;
  Mutex mutex_;
  std::optional<Snapshot> snapshot_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, MetricsFollower> followers_ ABSL_GUARDED_BY(mutex_);  // by path
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_PAGE_HOME_VIEW_H_
