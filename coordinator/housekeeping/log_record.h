// A line of a log as its fields (base/logging.h has the form). Pure.
#ifndef HALCYON_COORDINATOR_HOUSEKEEPING_LOG_RECORD_H_
#define HALCYON_COORDINATOR_HOUSEKEEPING_LOG_RECORD_H_

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "coordinator/housekeeping/log_files.h"

namespace halcyon::coordinator {

struct LogRecord {
  std::string time;                           // "2026-01-31T12:00:00.000Z"
  std::string level;                          // "info"
  std::string process;                        // "model-rank-1"
  std::map<std::string, std::string> fields;  // "job", "stage", "rank", "step", "task"
  std::string message;
};

// nullopt when it is no line of ours: a library's, or the rest of a message of several lines.
std::optional<LogRecord> ParseLogLine(std::string_view line);

// {"time", "level", "process", "message", and each of the fields}.
nlohmann::json ToJson(const LogRecord& record);

// A line that LogReader gave, as above, with `rank` and `step` as numbers. One that is not ours has
// `level` null, and `time` null when no line with one came before.
nlohmann::json JsonOfLine(const LogLine& line);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_HOUSEKEEPING_LOG_RECORD_H_
