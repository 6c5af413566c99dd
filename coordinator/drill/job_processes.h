// The processes of a drill's job: which they are, and signals to them. Only a process that the
// job's own files name, and whose start time is the one that they name, is ever signalled.
#ifndef HALCYON_COORDINATOR_DRILL_JOB_PROCESSES_H_
#define HALCYON_COORDINATOR_DRILL_JOB_PROCESSES_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/process_identity.h"
#include "base/status.h"
#include "coordinator/job_status.h"
#include "storage/home.h"

namespace halcyon::coordinator {

struct JobProcess {
  std::string name;  // "model-rank-1", "coordinator"
  std::string host;
  ProcessIdentity process;
  bool is_here = false;          // it can be looked up and signalled on this machine
  std::string ToString() const;  // "model-rank-1 (pid 5 on n2)"
};

// The job's coordinator; nullopt: no process runs the job.
std::optional<JobProcess> CoordinatorOf(Env& env, const storage::HomeLayout& home,
                                        const std::string& job_id);
// What the job's journal names: agents, launchers, and the ranks of the coordinator's machine.
std::vector<JobProcess> RecordedProcesses(Env& env, const storage::HomeLayout& home,
                                          const std::string& job_id);
// The process of that name in the journal, else in the status, which has ranks of all machines.
// nullopt: it is not known (yet).
std::optional<JobProcess> FindJobProcess(Env& env, const storage::HomeLayout& home,
                                         const JobStatus& job, const std::string& name);

// A command that runs the words on the host, as they are.
using HostCommand = std::function<std::vector<std::string>(const std::string& host,
                                                           const std::vector<std::string>& words)>;

// kNotFound: there is no such process any more. kUnavailable: its host cannot be reached.
absl::Status SignalJobProcess(const JobProcess& process, int signal, const HostCommand& on_host);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_DRILL_JOB_PROCESSES_H_
