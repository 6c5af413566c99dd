#include "coordinator/processes/child_end.h"

#include <signal.h>

#include <algorithm>
#include <regex>

#include "base/exit_code.h"
#include "base/memory.h"

namespace halcyon::coordinator {
namespace {

constexpr size_t kLinesMax = 6;
constexpr size_t kBytesMax = 1500;
// What a shell or mpirun gives for a process that a signal ended.
constexpr int kSignalCodeBase = 128;
constexpr char kRanOut[] = "; the process ran out of memory";
constexpr char kMemoryAdvice[] =
    " (lower the stage's micro_batch or launch.ranks, or use smaller sizes)";

constexpr char kNotStarted[] = "Slurm could not start rank ";

// "rank 1 on n2 exited on signal 9 (Killed)", from what mpirun or srun prints of the first rank
// that ended badly; "" where it says nothing of one.
std::string RankThatEnded(const std::string& lines) {
  static const std::regex kMpirun(
      R"(process rank (\d+) with PID \d+ on node (\S+) (exited on [^\n]*[^\n.]))");
  static const std::regex kSrun(R"(srun: error: (\S+): task (\d+): ([^\n]+))");
  static const std::regex kSrunStart(R"(srun: error: task (\d+) launch failed: ([^\n]+))");
  std::smatch match;
  // srun then kills the others, which says nothing of them.
  if (std::regex_search(lines, match, kSrunStart)) {
    return kNotStarted + match.str(1) + ": " + match.str(2);
  }
  if (std::regex_search(lines, match, kMpirun)) {
    return "rank " + match.str(1) + " on " + match.str(2) + " " + match.str(3);
  }
  if (std::regex_search(lines, match, kSrun)) {
    return "rank " + match.str(2) + " on " + match.str(1) + ": " + match.str(3);
  }
  return "";
}

bool WasKilled(const cluster::GangEnd& end) {
  return end.exit && (end.exit->signal == SIGKILL || end.exit->code == kSignalCodeBase + SIGKILL);
}

std::string WhoKilled(const ChildLog& log) {
  const auto saw_kill = log.SawOutOfMemoryKill();
  if (!saw_kill) {
    return std::string("; the kernel does this when the machine runs out of memory") +
           kMemoryAdvice;
  }
  if (*saw_kill) {
    return std::string(kRanOut) + ": the kernel has killed one of this machine for that" +
           kMemoryAdvice;
  }
  return "; the kernel has killed none of this machine for want of memory meanwhile, so a person "
         "or "
         "a program did, or it was on another machine";
}

}  // namespace

ChildLog::ChildLog(Env& env, std::string path, std::string root)
    : env_(&env), path_(std::move(path)), root_(std::move(root)), kills_(OutOfMemoryKills(root_)) {
  begin_ = env_->FileSize(path_).value_or(0);
}

std::optional<bool> ChildLog::SawOutOfMemoryKill() const {
  const auto now = OutOfMemoryKills(root_);
  return now && kills_ ? std::optional(*now > *kills_) : std::nullopt;
}

std::string ChildLog::LastLines() const {
  const uint64_t end = env_->FileSize(path_).value_or(0);
  if (end <= begin_) return "";
  const uint64_t bytes = std::min<uint64_t>(end - begin_, kBytesMax);
  std::string text = env_->ReadRange(path_, end - bytes, bytes).value_or("");
  while (!text.empty() && text.back() == '\n') text.pop_back();
  // Whole lines only.
  if (bytes < end - begin_) text.erase(0, text.find('\n') + 1);
  size_t start = text.size();
  for (size_t lines = 0; lines < kLinesMax && start != std::string::npos && start > 0; ++lines) {
    start = text.rfind('\n', start - 1);
  }
  return start == std::string::npos ? text : text.substr(start == 0 ? 0 : start + 1);
}

std::string FirstLine(const std::string& message) { return message.substr(0, message.find('\n')); }

std::string MemoryHint(const std::string& text) {
  for (const char* sign : {"bad_alloc", "can't allocate memory", "Cannot allocate memory"}) {
    if (text.find(sign) != std::string::npos) {
      return std::string(kRanOut) + kMemoryAdvice;
    }
  }
  return "";
}

bool SaysOutOfMemory(const std::string& text) { return text.find(kRanOut) != std::string::npos; }

bool SaysNotStarted(const std::string& text) { return text.find(kNotStarted) != std::string::npos; }

absl::Status ChildEndStatus(const std::string& what, const cluster::GangEnd& end,
                            const ChildLog& log) {
  if (!end.failure.ok()) return end.failure;
  const std::string lines = log.LastLines();
  const std::string how = end.ToString();
  std::string message = what + (how.starts_with("killed") ? " was " : " ended with ") + how;
  const std::string rank = RankThatEnded(lines);
  if (!rank.empty()) message += "; " + rank;
  if (WasKilled(end) && !SaysNotStarted(rank)) message += WhoKilled(log);
  message += MemoryHint(lines);
  message += "; see " + log.path();
  if (!lines.empty()) message += "\nits last lines:\n" + lines;
  if (end.exit && end.exit->code == static_cast<int>(ExitCode::kDiskFull)) {
    return ResourceExhausted(message);
  }
  return Unavailable(message);
}

}  // namespace halcyon::coordinator
