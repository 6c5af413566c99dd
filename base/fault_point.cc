#include "base/fault_point.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>

#include "base/clock.h"
#include "base/file_descriptor.h"

namespace halcyon {
namespace {

constexpr std::string_view kParentSuffix = "@parent", kStopSuffix = "@stop", kHangSuffix = "@hang",
                           kHoldSuffix = "@hold";

// Empty without a marker.
std::string MarkerPath(int number) {
  const char* marker = std::getenv("HALCYON_FAULT_MARKER");
  return marker == nullptr ? "" : std::string(marker) + "-" + std::to_string(number);
}

bool FirstTime(int number) {
  const std::string path = MarkerPath(number);
  return path.empty() || FileDescriptor::Open(path, O_CREAT | O_EXCL | O_WRONLY).ok();
}

bool TakeSuffix(std::string_view* point, std::string_view suffix) {
  if (!point->ends_with(suffix)) return false;
  point->remove_suffix(suffix.size());
  return true;
}

}  // namespace

void FaultPoint(std::string_view name) {
  static const char* const list = std::getenv("HALCYON_FAULT_LIST");
  if (list != nullptr) std::ofstream(list, std::ios::app) << name << '\n';
  static const char* const chosen = std::getenv("HALCYON_FAULT_POINT");
  if (chosen == nullptr) return;
  std::string_view rest = chosen;
  for (int number = 0; !rest.empty(); ++number) {
    const size_t end = std::min(rest.find(';'), rest.size());
    std::string_view point = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const int signal = TakeSuffix(&point, kStopSuffix) ? SIGSTOP : SIGKILL;
    const bool hangs = TakeSuffix(&point, kHangSuffix);
    const bool holds = TakeSuffix(&point, kHoldSuffix);
    const pid_t victim = TakeSuffix(&point, kParentSuffix) ? getppid() : getpid();
    if (point != name || !FirstTime(number)) continue;
    while (hangs) pause();
    if (holds) {
      while (access((MarkerPath(number) + ".go").c_str(), F_OK) != 0) Clock::Real()->SleepMs(20);
      continue;
    }
    kill(victim, signal);
  }
}

}  // namespace halcyon
