// Logs go through spdlog. A program calls one of these once, at its start; everything else calls
// spdlog::info and its siblings.
#ifndef HALCYON_BASE_LOGGING_H_
#define HALCYON_BASE_LOGGING_H_

#include <cstdint>
#include <string>

#include "base/status.h"

namespace halcyon {

// Every line carries the UTC time, the level, `process` ("coordinator", "model-rank-1") and goes
// to stderr; the level comes from HALCYON_LOG (trace ... error, off), "warn" by default.
void LogToStderr(const std::string& process);

// The same, appended to a file line by line; level "info" by default. A thread of its own writes,
// so logging never waits for a slow disk. When the disk is too slow, lines are dropped and counted.
absl::Status LogToFile(const std::string& process, const std::string& path);

// How long a process that ends with _exit waits for its last lines to be written.
inline constexpr int64_t kFlushLogMs = 500;
// Waits until every line logged so far is in the file, `timeout_ms` at most; returns whether they
// are. Call before _exit; a process that returns from main needs no call.
bool FlushLog(int64_t timeout_ms);

}  // namespace halcyon

#endif  // HALCYON_BASE_LOGGING_H_
