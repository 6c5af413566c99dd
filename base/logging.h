// Logs go through spdlog. A program calls one of these once, at its start; everything else calls
// spdlog::info and its siblings.
#ifndef HALCYON_BASE_LOGGING_H_
#define HALCYON_BASE_LOGGING_H_

#include <string>

#include "base/status.h"

namespace halcyon {

// Every line carries the UTC time, the level, `process` ("coordinator", "model-rank-1") and goes
// to stderr; the level comes from HALCYON_LOG (trace ... error, off), "warn" by default.
void LogToStderr(const std::string& process);

// The same, appended to a file and flushed line by line; level "info" by default.
absl::Status LogToFile(const std::string& process, const std::string& path);

}  // namespace halcyon

#endif  // HALCYON_BASE_LOGGING_H_
