// metrics.jsonl (docs/metrics.md) as rows of numbers, for people and other programs. Pure.
#ifndef HALCYON_COORDINATOR_METRICS_METRICS_TABLE_H_
#define HALCYON_COORDINATOR_METRICS_METRICS_TABLE_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace halcyon::coordinator {

// One step: the figures of its training and of the evaluation after it, by name. Members of
// objects have dotted names ("eval.heldout_loss"); texts and arrays are left out.
struct MetricsRow {
  uint64_t step = 0;
  std::map<std::string, double> values;
};

struct MetricsTable {
  std::vector<std::string> columns;  // without "step"; the usual ones first, then by name
  std::vector<MetricsRow> rows;      // by step
};

// A line that is cut short or holds no step is ignored: a crash leaves one. Of figures that
// were written twice the later ones count.
MetricsTable ParseMetrics(std::string_view jsonl);

// Every row and column, with a line of names first. A figure that a step lacks is empty. Numbers
// are the shortest that read back to the same value.
std::string MetricsCsv(const MetricsTable& table);

// The usual columns, of at most about `rows_max` steps, evenly chosen, and the evaluations.
std::string MetricsText(const MetricsTable& table, size_t rows_max);

// (step, value) of one column, where it has a value.
std::vector<std::pair<double, double>> PointsOf(const MetricsTable& table,
                                                const std::string& column);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_METRICS_METRICS_TABLE_H_
