#include "coordinator/drill/report.h"

#include <fmt/format.h>

#include <algorithm>

namespace halcyon::coordinator {
namespace {

constexpr size_t kDetectedBytesMax = 100;
constexpr char kTimeColumn[] = "time_ms";
constexpr char kNotKnown[] = "-";
constexpr char kDrillRow[] = "{:<17} {:>6} {:>11} {:>9}  {:<8} {}\n";

std::string YesOrNo(const std::optional<bool>& value) {
  return !value ? kNotKnown : *value ? "equal" : "DIFFER";
}

// A line of a table; --json has the whole.
std::string ShortOf(const std::string& text) {
  const std::string line = text.substr(0, text.find('\n'));
  if (line.size() <= kDetectedBytesMax) return line;
  return line.substr(0, line.rfind(' ', kDetectedBytesMax)) + " ...";
}

std::string DrillRowOf(const FaultOutcome& one) {
  return fmt::format(
      kDrillRow, NameOf(one.fault), one.step > 0 ? std::to_string(one.step) : kNotKnown,
      one.steps_lost ? std::to_string(*one.steps_lost) : kNotKnown,
      one.seconds ? fmt::format("{:.1f} s", *one.seconds) : kNotKnown, YesOrNo(one.weights_equal),
      one.detected.empty() ? kNotKnown : ShortOf(one.detected));
}

template <typename Value>
nlohmann::json OrNull(const std::optional<Value>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}

}  // namespace

FaultCost CostOf(const FaultMoment& moment, const MetricsTable& metrics) {
  FaultCost cost;
  double before_ms = moment.time_ms;
  for (const auto& [step, time_ms] : PointsOf(metrics, kTimeColumn)) {
    if (step <= static_cast<double>(moment.step)) {
      if (time_ms > moment.time_ms) ++cost.steps_lost;
      continue;
    }
    cost.seconds = std::max(cost.seconds, (time_ms - before_ms) / 1000);
    before_ms = time_ms;
  }
  return cost;
}

std::optional<FaultMoment> LastStepOf(std::string_view end_of_metrics) {
  // The beginning may lie within a line, which then is none; so may the end.
  end_of_metrics = end_of_metrics.substr(0, end_of_metrics.rfind('\n') + 1);
  const MetricsTable table = ParseMetrics(end_of_metrics);
  for (auto row = table.rows.rbegin(); row != table.rows.rend(); ++row) {
    const auto time_ms = row->values.find(kTimeColumn);
    if (time_ms != row->values.end()) return FaultMoment{row->step, time_ms->second};
  }
  return std::nullopt;
}

std::string FaultOutcome::Failure() const {
  if (!error.empty()) return error;
  if (!weights_equal) return "there are no weights to compare";
  if (!*weights_equal) return "the weights are not those of the undisturbed job";
  if (!left_running.empty()) {
    std::string names;
    for (const std::string& one : left_running) names += (names.empty() ? "" : ", ") + one;
    return "left running: " + names;
  }
  return "";
}

std::string TextOf(const std::vector<FaultOutcome>& outcomes) {
  std::string text =
      fmt::format(kDrillRow, "FAULT", "STEP", "STEPS LOST", "BACK", "WEIGHTS", "DETECTED");
  for (const FaultOutcome& one : outcomes) text += DrillRowOf(one);
  for (const FaultOutcome& one : outcomes) {
    if (!one.ok()) text += fmt::format("{}: {}\n", NameOf(one.fault), one.Failure());
  }
  return text;
}

nlohmann::json ToJson(const std::vector<FaultOutcome>& outcomes) {
  nlohmann::json array = nlohmann::json::array();
  for (const FaultOutcome& one : outcomes) {
    array.push_back({{"fault", NameOf(one.fault)},
                     {"made", one.made},
                     {"detected", one.detected},
                     {"step", one.step > 0 ? nlohmann::json(one.step) : nlohmann::json(nullptr)},
                     {"steps_lost", OrNull(one.steps_lost)},
                     {"seconds", OrNull(one.seconds)},
                     {"weights_equal", OrNull(one.weights_equal)},
                     {"left_running", one.left_running},
                     {"ok", one.ok()},
                     {"error", one.Failure()}});
  }
  return array;
}

absl::Status VerdictOf(const std::vector<FaultOutcome>& outcomes) {
  std::string failures;
  for (const FaultOutcome& one : outcomes) {
    if (one.ok()) continue;
    failures +=
        fmt::format("{}{}: {}", failures.empty() ? "" : "\n", NameOf(one.fault), one.Failure());
  }
  return failures.empty() ? absl::OkStatus() : Internal(failures);
}

}  // namespace halcyon::coordinator
