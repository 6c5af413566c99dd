// Logs go through spdlog. A program calls one of these once, at its start; everything else calls
// spdlog::info and its siblings.
#ifndef HALCYON_BASE_LOGGING_H_
#define HALCYON_BASE_LOGGING_H_

#include <cstdint>
#include <string>

#include "base/status.h"

namespace halcyon {

// A line has a stable form, which programs may rely on; docs/commands.md describes it:
//   2026-01-31T12:00:00.123Z warning model-rank-1 job=quick-3f2a91c0 rank=1 stage=model step=12:
//   text
// UTC time, level, `process`, fields in the order of their names, and the message after ": ".
// It goes to stderr; the level comes from HALCYON_LOG (trace ... error, off), "warn" by default.
void LogToStderr(const std::string& process);

// The same, appended to a file line by line; level "info" by default. A thread of its own writes,
// so logging never waits for a slow disk. When the disk is too slow, lines are dropped and counted.
absl::Status LogToFile(const std::string& process, const std::string& path);

// How long a process that ends with _exit waits for its last lines to be written.
inline constexpr int64_t kFlushLogMs = 500;
// Waits until every line logged so far is in the file, `timeout_ms` at most; returns whether they
// are. Call before _exit; a process that returns from main needs no call.
bool FlushLog(int64_t timeout_ms);

// What the lines that follow are about, whichever thread logs them, until it is set anew: "job",
// "stage", "rank", "step", "task". Letters, digits and "._-/" of the value stay, others become "_";
// "" takes the field away. Any thread.
void SetLogField(const std::string& key, const std::string& value);

// The same for what this thread logs, in place of a field of that name of the process. A scope ends
// before the one around it does.
class ScopedLogField {
 public:
  ScopedLogField(const std::string& key, const std::string& value);
  ~ScopedLogField();
  ScopedLogField(const ScopedLogField&) = delete;
  ScopedLogField& operator=(const ScopedLogField&) = delete;
};

}  // namespace halcyon

#endif  // HALCYON_BASE_LOGGING_H_
