// The agents of a job: started when the first task needs them, restarted when they end or stop
// sending, idle between stages, stopped at the end.
#ifndef HALCYON_COORDINATOR_AGENT_POOL_H_
#define HALCYON_COORDINATOR_AGENT_POOL_H_

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
#include "coordinator/worker_channel.h"

namespace halcyon::coordinator {

// Not thread-safe. Owns the processes; the destructor kills those still running.
class AgentPool {
 public:
  AgentPool(const JobContext* context, WorkerChannel* channel, Scheduler* scheduler,
            ProcessRegistry* registry, int64_t agents);

  // Starts those that do not run and reports to the scheduler those that have been lost. An agent
  // that ends again and again without doing any task, or twice before it has sent Hello, fails the
  // job: kInternal with the last lines of its log, or kResourceExhausted when the disk is full.
  absl::Status Maintain();

  // Handles what agents send about themselves (Hello, Ready). True when the message was one of
  // those, or came from a process that is no agent of the pool any more.
  absl::StatusOr<bool> OnMessage(const cluster::Message& message);

  // The agent did a task: its earlier ends no longer count.
  void ResetFailures(const WorkerId& worker);
  bool IsMember(const WorkerId& worker) const;

  // Sends Stop to all, waits a little, then kills.
  void Stop();

 private:
  struct Agent {
    WorkerId id;
    std::unique_ptr<cluster::ChildProcess> process = nullptr;
    std::unique_ptr<ChildLog> log = nullptr;
    bool has_registered = false;
    RestartBudget budget;
  };
  absl::Status Start(Agent* agent);
  absl::Status Lose(Agent* agent, const absl::Status& how);
  Agent* Find(const WorkerId& worker);
  bool WasPausedRecently();

  const JobContext* context_;
  WorkerChannel* channel_;
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

#endif  // HALCYON_COORDINATOR_AGENT_POOL_H_
