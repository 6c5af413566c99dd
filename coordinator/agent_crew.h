// The agents of a job: started when the first task needs them, restarted when they end or fall
// silent, idle between stages, stopped at the end.
#ifndef HALCYON_COORDINATOR_AGENT_CREW_H_
#define HALCYON_COORDINATOR_AGENT_CREW_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/child_end.h"
#include "coordinator/job_context.h"
#include "coordinator/process_registry.h"
#include "coordinator/restart_budget.h"
#include "coordinator/scheduler.h"
#include "coordinator/switchboard.h"

namespace halcyon::coordinator {

// Not thread-safe. Owns the processes; the destructor kills those still running.
class AgentCrew {
 public:
  AgentCrew(const JobContext* context, Switchboard* board, Scheduler* scheduler,
            ProcessRegistry* registry, int64_t agents);

  // Starts those that do not run and tells the scheduler of those that have been lost. An agent
  // that ends again and again without doing any task, or twice before it has said Hello, fails the
  // job: kInternal with the last lines of its log, or kResourceExhausted when the disk is full.
  absl::Status Tend();

  // Takes what agents say about themselves (Hello, Ready). True when the message was one of those,
  // or came from a process that is no agent of the crew any more.
  absl::StatusOr<bool> OnMessage(const cluster::Message& message);

  // The agent did a task: its earlier ends are forgiven.
  void Praise(const WorkerId& worker);
  bool IsMember(const WorkerId& worker) const;

  // Tells all to end, waits a little, then kills.
  void Stop();

 private:
  struct Agent {
    WorkerId id;
    std::unique_ptr<cluster::ChildProcess> process = nullptr;
    std::unique_ptr<ChildLog> log = nullptr;
    bool said_hello = false;
    RestartBudget budget;
  };
  absl::Status Start(Agent* agent);
  absl::Status Lose(Agent* agent, const absl::Status& how);
  Agent* Find(const WorkerId& worker);
  bool WasPausedLately();

  const JobContext* context_;
  Switchboard* board_;
  Scheduler* scheduler_;
  ProcessRegistry* registry_;
  uint64_t launches_ = 0;
  int pauses_seen_ = 0;
  std::optional<int64_t> paused_ms_;
  std::vector<Agent> agents_;
};

// launch.agents, or one a processor.
int64_t AgentCount(const jobs::JobSpec& spec);
std::string AgentLogPath(const JobContext& context, const std::string& agent);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_AGENT_CREW_H_
