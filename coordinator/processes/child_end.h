// What to tell a person about a child process that ended: how, its last lines, and what that most
// likely means.
#ifndef HALCYON_COORDINATOR_PROCESSES_CHILD_END_H_
#define HALCYON_COORDINATOR_PROCESSES_CHILD_END_H_

#include <cstdint>
#include <optional>
#include <string>

#include "base/env.h"
#include "base/status.h"
#include "cluster/gang.h"

namespace halcyon::coordinator {

// A child's log, as far as it was written since the child's start; many children share one file.
class ChildLog {
 public:
  // Remembers where the log ends now, and how often the kernel has killed for want of memory.
  // `root` is put before the system's paths.
  ChildLog(Env& env, std::string path, std::string root = "");
  // The last lines since then, cut to a readable length; "" when there is none or it cannot be
  // read.
  std::string LastLines() const;
  const std::string& path() const { return path_; }
  // Whether the kernel has killed a process of this machine since then because memory ran out.
  // nullopt: not known.
  std::optional<bool> SawOutOfMemoryKill() const;

 private:
  Env* env_;
  std::string path_;
  std::string root_;
  std::optional<uint64_t> kills_;
  uint64_t begin_ = 0;
};

// What comes before a child's last lines, for where one line is enough.
std::string FirstLine(const std::string& message);

// "; the process ran out of memory: ..." when `text`, an error or a log, says so; else "".
std::string MemoryHint(const std::string& text);

// Whether an error has such a hint because the process itself or the kernel said so.
bool SaysOutOfMemory(const std::string& text);

// Whether an error of ChildEndStatus says that srun could not start a rank. A try with another step
// may succeed: after a requeue the numbers of steps begin anew, and on a node that had lost its
// power one that was used before cannot be used again.
bool SaysNotStarted(const std::string& text);

// A child that ended without being told to: kResourceExhausted when its exit code says that the
// disk is full, else kUnavailable. The message's first line has how it ended, the rank that a
// launcher names, a hint about memory where one fits, and where to look; its last lines follow.
absl::Status ChildEndStatus(const std::string& what, const cluster::GangEnd& end,
                            const ChildLog& log);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_PROCESSES_CHILD_END_H_
