#include "base/open_files.h"

#include <sys/resource.h>

#include <algorithm>

namespace halcyon {
namespace {

// Enough for everything that is kept open here. Some systems have a hard limit of a billion, and
// programs that close every possible descriptor of a child take minutes with it.
constexpr rlim_t kWanted = 1 << 16;

}  // namespace

void RaiseOpenFilesLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t raised = std::min(limit.rlim_max, kWanted);
  if (raised <= limit.rlim_cur) return;
  limit.rlim_cur = raised;
  setrlimit(RLIMIT_NOFILE, &limit);
}

uint64_t OpenFilesLimit() {
  rlimit limit;
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

std::string OpenFilesAdvice() {
  return "at most " + std::to_string(OpenFilesLimit()) +
         " files may be open in this process; raise the limit (ulimit -n)";
}

}  // namespace halcyon
