// The agents of a job: started when the first task needs them, started again when they end or stop
// sending, idle between stages, stopped at the end. Pure: no clock, no processes.
//
//   agent:  absent -> started -> registered (its Hello came)
//           started | registered -> lost    it ended or stopped sending
//           lost -> absent                  once a task needs agents: reported and counted
//
// Invariants:
//   - each start has an incarnation of its own: messages of an earlier process are not its own;
//   - an agent that is lost holds no lease after Maintain;
//   - an agent that ended is started again after a wait, which grows from one end to the next.
// A message costs the same whatever the number of agents; Maintain as much as there are absent and
// lost ones.
#ifndef HALCYON_COORDINATOR_RUN_AGENT_POOL_H_
#define HALCYON_COORDINATOR_RUN_AGENT_POOL_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/restart_budget.h"
#include "coordinator/run/events.h"
#include "coordinator/run/phase_past.h"
#include "coordinator/scheduler.h"

namespace halcyon::coordinator {

// How long the agents may take to end when they are told to.
inline constexpr int64_t kAgentEndMsMax = 5000;

class AgentPool {
 public:
  AgentPool(int64_t agents, int64_t restarts_max, const HangLimits& hang = {});

  void On(const event::AgentEnded& ended);
  void On(const event::Suspected& suspected);
  // An agent whose task stands still is lost. Returns the health of those that have a task.
  std::vector<WorkerHealth> On(const event::Beats& beats, int64_t now_ms);
  void On(const event::Paused&, int64_t now_ms) { paused_ms_ = now_ms; }

  // Starts those that do not run, and gives the leases of lost ones back to the scheduler. Call
  // while tasks need agents. An agent that ends again and again without doing any task, or twice
  // before it has sent Hello, is left out for kExcludedMs while others work, and else fails the
  // job: kInternal with the last lines of its log, or kResourceExhausted when the disk is full.
  absl::Status Maintain(int64_t now_ms, Scheduler* scheduler, Effects* effects);

  // Handles what agents send about themselves (Hello, Ready). True when the message was one of
  // those, or came from a process that is no agent of the pool any more.
  bool OnMessage(const cluster::Message& message, Scheduler* scheduler, Effects* effects);
  // The agent did a task: its earlier ends no longer count.
  void DidTask(const WorkerId& worker);

  bool IsMember(const WorkerId& worker) { return Find(worker) != nullptr; }

  // Sends Stop to all.
  void Stop(int64_t now_ms, Effects* effects);
  // After Stop: whether all have ended, or had time enough.
  bool MayLeave(int64_t now_ms, int stop_requests) const;
  // Kills those that still run.
  void End(Effects* effects);

 private:
  struct Lost {
    absl::Status how, room;
  };
  struct Agent {
    WorkerId id;
    bool is_started = false;
    bool has_registered = false;
    std::string host = {};
    int64_t pid = 0;
    uint64_t start_time = 0;
    std::optional<Lost> lost = {};
    RestartBudget budget;
    int64_t start_after_ms = 0;
    PhaseReader reader = {};
  };
  absl::Status Report(Agent* agent, int64_t now_ms, Scheduler* scheduler, Effects* effects);
  Agent* Find(const WorkerId& worker);
  void Lose(Agent* agent, Lost how);
  bool OthersWork() const;
  bool IsPausedAt(int64_t now_ms) const;

  uint64_t launches_ = 0;
  std::optional<int64_t> paused_ms_, stopped_ms_;
  std::vector<Agent> agents_;  // "agent-3" is the fourth
  std::set<size_t> to_tend_;   // of agents_: absent and lost ones
  PhasePast past_;             // of tasks, by stage
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_RUN_AGENT_POOL_H_
