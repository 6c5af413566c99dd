// The logs of a job's processes, put in one order. Halcyon's lines begin with a UTC time stamp;
// those of a library or the launcher do not, and follow the line before them in the same file.
#ifndef HALCYON_COORDINATOR_HOUSEKEEPING_LOG_FILES_H_
#define HALCYON_COORDINATOR_HOUSEKEEPING_LOG_FILES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/status.h"

namespace halcyon::coordinator {

struct LogLine {
  std::string time;  // "2026-01-31T12:00:00.000Z"; without a stamp, that of the line before
  std::string text;  // the whole line
};

// Whether a line begins with a time stamp as Halcyon's do.
bool HasTimeStamp(std::string_view line);
// Of one file. A line without a stamp gets "PROCESS: " before it, as the stamped ones name theirs.
std::vector<LogLine> LogLinesOf(const std::string& process, std::string_view text);
// By time; lines of one file keep their order.
std::vector<LogLine> Merged(std::vector<std::vector<LogLine>> files);

// Reads the logs of a folder, and afterwards what has been added to them. Not thread-safe.
class LogReader {
 public:
  // `process`: the only one to read; "": all. `rank`: only ranks of this number, whatever they
  // train.
  LogReader(Env& env, std::string folder, std::string process, std::optional<int64_t> rank = {})
      : env_(env), folder_(std::move(folder)), process_(std::move(process)), rank_(rank) {}

  // The processes that have a log, by name. kNotFound when there is no such folder.
  absl::StatusOr<std::vector<std::string>> Processes();
  // Whether it is one of those that are read.
  bool IsChosen(const std::string& process) const;
  // Whole lines since the last call, in one order. A file that became shorter is read anew.
  absl::StatusOr<std::vector<LogLine>> Next();

 private:
  absl::StatusOr<std::string> NewText(const std::string& process);

  Env& env_;
  const std::string folder_, process_;
  const std::optional<int64_t> rank_;
  std::map<std::string, uint64_t> read_;  // bytes, by process
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_HOUSEKEEPING_LOG_FILES_H_
