// Which agent had which task, as the log of a job's coordinator tells: it is quicker than the
// status, which is written once a second.
#ifndef HALCYON_COORDINATOR_DRILL_AGENT_LEASES_H_
#define HALCYON_COORDINATOR_DRILL_AGENT_LEASES_H_

#include <string>
#include <vector>

#include "base/env.h"
#include "coordinator/housekeeping/log_files.h"
#include "storage/home.h"

namespace halcyon::coordinator {

struct AgentLease {
  std::string task;   // "latents/3"
  std::string agent;  // "agent-0"
  bool operator==(const AgentLease&) const = default;
};

// In order, of the tasks of one stage ("latents").
std::vector<AgentLease> LeasesIn(const std::vector<LogLine>& lines, const std::string& stage);
// The first warning that names the agent; "" when there is none.
std::string WarningAbout(const std::vector<LogLine>& lines, const std::string& agent);
// Whether the task that the agent had when it was lost, as the warning says, has been given out
// again since; true also when it had none. False while there is no warning.
bool IsWorkGivenOutAgain(const std::vector<LogLine>& lines, const std::string& stage,
                         const std::string& agent);

// The lines of the job's coordinators; empty when there are none.
std::vector<LogLine> CoordinatorLines(Env& env, const storage::HomeLayout& home,
                                      const std::string& job_id);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_DRILL_AGENT_LEASES_H_
