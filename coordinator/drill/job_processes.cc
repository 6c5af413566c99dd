#include "coordinator/drill/job_processes.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>

#include "cluster/command.h"
#include "coordinator/processes/recovery.h"
#include "storage/job_journal.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kHostAnswerMsMax = 30'000;
constexpr int kOtherProcessCode = 3;
// $1: the pid, $2: its start time, $3: the signal. Of /proc/PID/stat the name, in parentheses, may
// hold anything; what follows begins with the third field, and the start time is the 22nd.
constexpr char kSignalScript[] =
    R"(stat=$(cat "/proc/$1/stat" 2>/dev/null) || exit 3
set -- "$1" "$2" "$3" ${stat##*) }
[ "${23}" = "$2" ] || exit 3
kill -s "$3" "$1")";

JobProcess Located(const std::string& name, const LocatedProcess& process) {
  return {name, process.host, process.process, process.IsOnThisMachine()};
}

absl::Status NoSuchProcess(const JobProcess& process) {
  return NotFound(process.ToString() + " does not run any more");
}

}  // namespace

std::string JobProcess::ToString() const {
  return fmt::format("{} (pid {} on {})", name, process.pid, host);
}

std::optional<JobProcess> CoordinatorOf(Env& env, const storage::HomeLayout& home,
                                        const std::string& job_id) {
  const auto owner = OwnerOf(env, home, job_id);
  if (!owner) return std::nullopt;
  return Located("the coordinator", *owner);
}

std::vector<JobProcess> RecordedProcesses(Env& env, const storage::HomeLayout& home,
                                          const std::string& job_id) {
  std::vector<JobProcess> processes;
  // While a coordinator begins its journal there is nothing to be read for a moment.
  const auto history = storage::ReadJobHistory(env, home.Journal(job_id));
  if (!history.ok()) return processes;
  for (const auto& [name, process] : history->processes) {
    processes.push_back(Located(name, process));
  }
  return processes;
}

std::optional<JobProcess> FindJobProcess(Env& env, const storage::HomeLayout& home,
                                         const JobStatus& job, const std::string& name) {
  for (JobProcess& process : RecordedProcesses(env, home, job.job_id)) {
    if (process.name == name) return std::move(process);
  }
  for (const WorkerStatus& worker : job.workers) {
    if (worker.worker != name || worker.pid <= 0) continue;
    return JobProcess{name, worker.host, {static_cast<pid_t>(worker.pid), worker.start_time}};
  }
  return std::nullopt;
}

absl::Status SignalJobProcess(const JobProcess& process, int signal, const HostCommand& on_host) {
  const auto& [pid, start_time] = process.process;
  if (process.is_here) {
    if (!IsAlive(process.process) || kill(pid, signal) != 0) return NoSuchProcess(process);
    return absl::OkStatus();
  }
  const std::vector<std::string> command =
      on_host(process.host, {"sh", "-c", kSignalScript, "sh", std::to_string(pid),
                             std::to_string(start_time), sigabbrev_np(signal)});
  ASSIGN_OR_RETURN(const cluster::CommandOutput output,
                   cluster::RunCommand(command, kHostAnswerMsMax));
  if (output.exit.ok()) return absl::OkStatus();
  if (output.exit.code == kOtherProcessCode) return NoSuchProcess(process);
  return Unavailable(fmt::format("{} cannot be signalled: {}: {}: {}", process.ToString(),
                                 command.front(), output.exit.ToString(),
                                 output.error.substr(0, output.error.find('\n'))));
}

}  // namespace halcyon::coordinator
