#include "coordinator/metrics/metrics_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

namespace halcyon::coordinator {
namespace {

using nlohmann::json;

constexpr int kNestingMax = 4;
// 2^53: up to there a double holds every whole number.
constexpr double kExactMax = 9007199254740992.0;

struct UsualColumn {
  const char* name;
  const char* title;
};
constexpr UsualColumn kUsual[] = {{"time_ms", ""},
                                  {"step_seconds", "step s"},
                                  {"tokens_per_s", "tokens/s"},
                                  {"loss", "loss"},
                                  {"grad_norm", "grad norm"},
                                  {"learning_rate", "rate"},
                                  {"eval.heldout_loss", "held-out"},
                                  {"eval.brier_lm", "BrierLM"}};

void Flatten(const json& object, const std::string& prefix, int depth,
             std::map<std::string, double>* values) {
  for (const auto& [name, value] : object.items()) {
    if (value.is_number()) {
      (*values)[prefix + name] = value.get<double>();
    } else if (value.is_object() && depth < kNestingMax) {
      Flatten(value, prefix + name + ".", depth + 1, values);
    }
  }
}

std::vector<std::string> ColumnsOf(const std::map<uint64_t, MetricsRow>& rows) {
  std::set<std::string> names;
  for (const auto& [step, row] : rows) {
    for (const auto& [name, value] : row.values) names.insert(name);
  }
  std::vector<std::string> columns;
  for (const UsualColumn& usual : kUsual) {
    if (names.erase(usual.name) > 0) columns.push_back(usual.name);
  }
  columns.insert(columns.end(), names.begin(), names.end());
  return columns;
}

std::string NumberText(double value) {
  if (value == std::floor(value) && std::abs(value) < kExactMax) {
    return fmt::format("{:.0f}", value);
  }
  return fmt::format("{}", value);
}

std::string ShortText(double value) {
  const double size = std::abs(value);
  if (value == 0) return "0";
  if (size >= 1e6 || size < 1e-3) return fmt::format("{:.3g}", value);
  return fmt::format("{:.{}f}", value, size >= 1000 ? 0 : 4);
}

// `count` of the numbers 0 ... total - 1, evenly spread, the first and the last among them.
std::set<size_t> EvenlyChosen(size_t total, size_t count) {
  std::set<size_t> chosen;
  for (size_t i = 0; i < std::min(total, count); ++i) {
    chosen.insert(total <= count || count < 2 ? i : i * (total - 1) / (count - 1));
  }
  return chosen;
}

std::set<size_t> RowsToShow(const MetricsTable& table, size_t rows_max) {
  std::vector<size_t> evaluated;
  for (size_t i = 0; i < table.rows.size(); ++i) {
    const auto& values = table.rows[i].values;
    const auto eval = values.lower_bound("eval.");
    if (eval != values.end() && eval->first.starts_with("eval.")) evaluated.push_back(i);
  }
  std::set<size_t> shown = EvenlyChosen(table.rows.size(), rows_max);
  for (const size_t i : EvenlyChosen(evaluated.size(), rows_max)) shown.insert(evaluated[i]);
  return shown;
}

}  // namespace

MetricsTable ParseMetrics(std::string_view jsonl) {
  std::map<uint64_t, MetricsRow> rows;
  std::istringstream lines{std::string(jsonl)};
  for (std::string line; std::getline(lines, line);) {
    json record = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!record.is_object()) continue;
    const auto step = record.find("step");
    if (step == record.end() || !step->is_number_unsigned()) continue;
    MetricsRow& row = rows[step->get<uint64_t>()];
    row.step = step->get<uint64_t>();
    record.erase(step);
    // The time of an evaluation is its own figure, beside that of the step.
    if (record.contains("eval") && record["eval"].is_object() && record.contains("time_ms")) {
      record["eval"]["time_ms"] = record["time_ms"];
      record.erase("time_ms");
    }
    Flatten(record, "", 0, &row.values);
  }
  MetricsTable table;
  table.columns = ColumnsOf(rows);
  for (auto& [step, row] : rows) table.rows.push_back(std::move(row));
  return table;
}

std::string MetricsCsv(const MetricsTable& table) {
  std::string text = "step";
  for (const std::string& column : table.columns) text += "," + column;
  text += "\n";
  for (const MetricsRow& row : table.rows) {
    text += std::to_string(row.step);
    for (const std::string& column : table.columns) {
      const auto value = row.values.find(column);
      text += "," + (value == row.values.end() ? "" : NumberText(value->second));
    }
    text += "\n";
  }
  return text;
}

std::string MetricsText(const MetricsTable& table, size_t rows_max) {
  std::vector<UsualColumn> columns;
  for (const UsualColumn& usual : kUsual) {
    const bool there =
        std::find(table.columns.begin(), table.columns.end(), usual.name) != table.columns.end();
    if (there && *usual.title != '\0') columns.push_back(usual);
  }
  std::string text = fmt::format("{:>10}", "step");
  for (const UsualColumn& column : columns) text += fmt::format(" {:>11}", column.title);
  text += "\n";
  const std::set<size_t> shown = RowsToShow(table, rows_max);
  for (const size_t i : shown) {
    const MetricsRow& row = table.rows[i];
    text += fmt::format("{:>10}", row.step);
    for (const UsualColumn& column : columns) {
      const auto value = row.values.find(column.name);
      text += fmt::format(" {:>11}", value == row.values.end() ? "" : ShortText(value->second));
    }
    text += "\n";
  }
  if (shown.size() < table.rows.size()) {
    text += fmt::format("{} of {} steps; --csv prints all\n", shown.size(), table.rows.size());
  }
  return text;
}

std::vector<std::pair<double, double>> PointsOf(const MetricsTable& table,
                                                const std::string& column) {
  std::vector<std::pair<double, double>> points;
  for (const MetricsRow& row : table.rows) {
    const auto value = row.values.find(column);
    if (value == row.values.end() || !std::isfinite(value->second)) continue;
    points.emplace_back(static_cast<double>(row.step), value->second);
  }
  return points;
}

}  // namespace halcyon::coordinator
