#include "base/process_identity.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

namespace halcyon {
namespace {

constexpr int kProcessDepthMax = 64;

struct ProcessStat {
  char state = 0;  // proc(5): 'T' stopped, 't' by a debugger
  pid_t parent = 0;
  uint64_t start_time = 0;
};

std::optional<ProcessStat> ReadProcessStat(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text, '\0');
  // "PID (NAME) STATE PARENT ...": NAME may hold spaces and parentheses of its own.
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  std::string state, skipped;
  ProcessStat stat;
  fields >> state >> stat.parent;
  if (state == "Z" || state == "X") return std::nullopt;  // ended, but not yet reaped
  stat.state = state.empty() ? '\0' : state.front();
  constexpr int kParentField = 4, kStartTimeField = 22;  // proc(5)
  for (int field = kParentField + 1; field < kStartTimeField; ++field) fields >> skipped;
  fields >> stat.start_time;
  if (!fields) return std::nullopt;
  return stat;
}

}  // namespace

std::optional<ProcessIdentity> IdentityOfProcess(pid_t pid) {
  const auto stat = ReadProcessStat(pid);
  if (!stat) return std::nullopt;
  return ProcessIdentity{.pid = pid, .start_time = stat->start_time};
}

bool DescendsFrom(const ProcessIdentity& process, pid_t ancestor) {
  auto stat = ReadProcessStat(process.pid);
  if (!stat || stat->start_time != process.start_time) return false;
  pid_t pid = process.pid;
  // Every step goes up the tree, so this ends at the first process at the latest; a tree that is
  // changing while it is read is given up.
  for (int depth = 0; depth < kProcessDepthMax && stat; ++depth) {
    if (pid == ancestor) return true;
    if (stat->parent <= 0) return false;
    pid = stat->parent;
    stat = ReadProcessStat(pid);
  }
  return false;
}

std::string BootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

bool IsStopped(const ProcessIdentity& process) {
  const auto stat = ReadProcessStat(process.pid);
  return stat && stat->start_time == process.start_time &&
         (stat->state == 'T' || stat->state == 't');
}

bool IsAlive(const ProcessIdentity& process) {
  if (const auto now = IdentityOfProcess(process.pid)) return now->start_time == process.start_time;
  // With hidepid the files of other users' processes are hidden: nothing says that it is another.
  return kill(process.pid, 0) != 0 && errno == EPERM;
}

void KillProcess(const ProcessIdentity& process) {
  if (IsAlive(process)) kill(process.pid, SIGKILL);
}

std::string PidNamespace() {
  std::error_code error;
  const auto link = std::filesystem::read_symlink("/proc/self/ns/pid", error);
  return error ? "" : link.string();
}

std::string HostName() {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  return host;
}

LocatedProcess LocatedProcess::OfThisMachine(const ProcessIdentity& process) {
  return {HostName(), BootId(), PidNamespace(), process};
}

LocatedProcess LocatedProcess::OfThisProcess() {
  return OfThisMachine(IdentityOfProcess(getpid()).value_or(ProcessIdentity{getpid(), 0}));
}

bool LocatedProcess::IsOnThisMachine() const { return *this == OfThisMachine(process); }

}  // namespace halcyon
