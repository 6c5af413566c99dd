// Which process is which: a pid alone may have been reused, and means nothing on another machine.
#ifndef HALCYON_BASE_PROCESS_IDENTITY_H_
#define HALCYON_BASE_PROCESS_IDENTITY_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace halcyon {

struct ProcessIdentity {
  pid_t pid = 0;
  uint64_t start_time = 0;  // clock ticks since boot, /proc/PID/stat
  bool operator==(const ProcessIdentity&) const = default;
};
// nullopt: there is no such process, or it has ended and only waits to be reaped.
std::optional<ProcessIdentity> IdentityOfProcess(pid_t pid);
bool IsAlive(const ProcessIdentity& process);
// Whether it exists and is stopped: by SIGSTOP, a terminal or a debugger.
bool IsStopped(const ProcessIdentity& process);
// Kill -9 unless the pid has been reused.
void KillProcess(const ProcessIdentity& process);
// Whether `process` runs and is `ancestor` or below it. False when that cannot be determined.
bool DescendsFrom(const ProcessIdentity& process, pid_t ancestor);

// Identifies this boot of this machine: pids and start times are meaningful within one boot only.
std::string BootId();
// Identifies the pid namespace of this process: containers of one machine share its boot, and each
// counts its processes anew. "" when it cannot be read.
std::string PidNamespace();
// The machine's name; "" when it has none.
std::string HostName();

// A process and where its pid means something: one boot of one machine, one pid namespace of it.
struct LocatedProcess {
  std::string host;
  std::string boot_id;
  std::string pid_namespace;
  ProcessIdentity process;

  static LocatedProcess OfThisMachine(const ProcessIdentity& process);
  static LocatedProcess OfThisProcess();
  // Whether it can be looked up here.
  bool IsOnThisMachine() const;
  bool operator==(const LocatedProcess&) const = default;
};

}  // namespace halcyon

#endif  // HALCYON_BASE_PROCESS_IDENTITY_H_
