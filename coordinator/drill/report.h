// What a drill found, and how it is told. Pure.
#ifndef HALCYON_COORDINATOR_DRILL_REPORT_H_
#define HALCYON_COORDINATOR_DRILL_REPORT_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "coordinator/drill/fault.h"
#include "coordinator/metrics/metrics_table.h"

namespace halcyon::coordinator {

// The last that was done before a fault: its step, and when that was done by the clock of the rank
// that writes metrics.jsonl.
struct FaultMoment {
  uint64_t step = 0;
  double time_ms = 0;
};

struct FaultCost {
  uint64_t steps_lost = 0;  // made before the fault and made again after it
  double seconds = 0;       // the longest time after it without a step that was never made before
};
// From the metrics of the finished stage, in which each step stands once, with the time at which it
// was made last: what was made after the fault and is not beyond its step was lost by it.
FaultCost CostOf(const FaultMoment& moment, const MetricsTable& metrics);

// The last step of a metrics.jsonl, of which only the end may be given; nullopt: it has none.
std::optional<FaultMoment> LastStepOf(std::string_view end_of_metrics);

struct FaultOutcome {
  Fault fault{};
  std::string made = {};                       // "SIGKILL to model-rank-1 (pid 5 on n2)"
  std::string detected = {};                   // the reason that the coordinator gave
  uint64_t step = 0;                           // at the fault; 0: no step was under way
  std::optional<uint64_t> steps_lost = {};     // nullopt: not known
  std::optional<double> seconds = {};          // until work went on; nullopt: not known
  std::optional<bool> weights_equal = {};      // nullopt: there are none
  std::vector<std::string> left_running = {};  // processes of the job that did not end
  std::string error = {};                      // what else went wrong
  bool ok() const { return Failure().empty(); }
  std::string Failure() const;  // "" when the job came back with the same weights
};

// A table with a line for each fault, and below it what went wrong.
std::string TextOf(const std::vector<FaultOutcome>& outcomes);
// An array of {"fault", "made", "detected", "step", "steps_lost", "seconds", "weights_equal",
// "left_running", "ok", "error"}; what is not known is null.
nlohmann::json ToJson(const std::vector<FaultOutcome>& outcomes);
// OK when every fault was survived; else kInternal names those that were not.
absl::Status VerdictOf(const std::vector<FaultOutcome>& outcomes);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_DRILL_REPORT_H_
