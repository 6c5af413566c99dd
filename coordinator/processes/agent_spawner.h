// Starts the agents of a job: on this machine as child processes, on other hosts by the launcher,
// each with a launch of its own, so that one that fails is started again alone.
#ifndef HALCYON_COORDINATOR_PROCESSES_AGENT_SPAWNER_H_
#define HALCYON_COORDINATOR_PROCESSES_AGENT_SPAWNER_H_

#include <memory>
#include <string>
#include <vector>

#include "coordinator/job_context.h"

namespace halcyon::coordinator {

class ProcessAgentSpawner : public AgentSpawner {
 public:
  // REQUIRES: `context` is complete and outlives this.
  explicit ProcessAgentSpawner(const JobContext* context);
  // An agent's number says on which host it runs: agent-3, started again, runs where it ran.
  absl::StatusOr<std::unique_ptr<cluster::Gang>> Spawn(const WorkerId& agent) override;

 private:
  std::vector<std::string> Command(const WorkerId& agent) const;

  const JobContext* context_;
  const std::string here_;          // this machine's name
  std::vector<std::string> hosts_;  // of the agents by number; empty: all run here
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_PROCESSES_AGENT_SPAWNER_H_
