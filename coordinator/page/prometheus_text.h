// The jobs of a state folder in Prometheus' text format (version 0.0.4). Pure.
#ifndef HALCYON_COORDINATOR_PAGE_PROMETHEUS_TEXT_H_
#define HALCYON_COORDINATOR_PAGE_PROMETHEUS_TEXT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/job_status.h"

namespace halcyon::coordinator {

// How long after its end a job's stages are still given, so that a scrape sees their last figures.
inline constexpr int64_t kStagesKeptMs = 3'600'000;

// docs/commands.md lists the metrics.
std::string PrometheusText(const std::vector<JobStatus>& jobs, int64_t now_ms);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_PAGE_PROMETHEUS_TEXT_H_
