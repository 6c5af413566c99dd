// The agents that an earlier coordinator of the job has left: what its journal says of them, and
// which may be adopted.
#ifndef HALCYON_COORDINATOR_PROCESSES_EARLIER_AGENTS_H_
#define HALCYON_COORDINATOR_PROCESSES_EARLIER_AGENTS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/status.h"
#include "cluster/launcher.h"
#include "coordinator/run/events.h"
#include "storage/job_record.h"

namespace halcyon::coordinator {

struct EarlierAgentRecord {
  uint64_t incarnation = 0;  // of the agent
  std::string origin;        // OriginOfAgents when it was started
  nlohmann::json launcher;   // cluster::Gang::record()
};
nlohmann::json ToJson(const EarlierAgentRecord& agent);
// kDataLoss on anything that ToJson did not make.
absl::StatusOr<EarlierAgentRecord> EarlierAgentFromJson(const nlohmann::json& from);

// By name.
using EarlierAgents = std::map<std::string, EarlierAgentRecord>;

// Stands for what an agent must agree in with those that a coordinator would start now: the worker
// program, as its file's size and time say, and the job file.
std::string OriginOfAgents(const std::string& worker_program, const jobs::JobSpec& spec);

// Those of the history that run, as this machine can tell, and are of this origin. They are left
// running; the others that run are ended. `origin`: "" ends all.
EarlierAgents TakeEarlierAgents(const storage::JobHistory& history, const std::string& origin,
                                cluster::GangLauncher& launcher);

// For AgentPool.
std::vector<EarlierAgent> AgentsOf(const EarlierAgents& agents);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_PROCESSES_EARLIER_AGENTS_H_
