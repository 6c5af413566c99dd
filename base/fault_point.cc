#include "base/fault_point.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "base/file_descriptor.h"

namespace halcyon {
namespace {

constexpr std::string_view kParentSuffix = "@parent", kStopSuffix = "@stop", kHangSuffix = "@hang";

bool FirstTime(int number) {
  const char* marker = std::getenv("HALCYON_FAULT_MARKER");
  if (marker == nullptr) return true;
  const std::string path = std::string(marker) + "-" + std::to_string(number);
  return FileDescriptor::Open(path, O_CREAT | O_EXCL | O_WRONLY).ok();
}

}  // namespace

void FaultPoint(std::string_view name) {
  static const char* const chosen = std::getenv("HALCYON_FAULT_POINT");
  if (chosen == nullptr) return;
  std::string_view rest = chosen;
  for (int number = 0; !rest.empty(); ++number) {
    const size_t end = std::min(rest.find(';'), rest.size());
    std::string_view point = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    pid_t victim = getpid();
    int signal = SIGKILL;
    if (point.ends_with(kStopSuffix)) {
      point.remove_suffix(kStopSuffix.size());
      signal = SIGSTOP;
    }
    const bool hangs = point.ends_with(kHangSuffix);
    if (hangs) point.remove_suffix(kHangSuffix.size());
    if (point.ends_with(kParentSuffix)) {
      point.remove_suffix(kParentSuffix.size());
      victim = getppid();
    }
    if (point != name || !FirstTime(number)) continue;
    while (hangs) pause();
    kill(victim, signal);
  }
}

}  // namespace halcyon
