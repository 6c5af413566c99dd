// The agents of a job: started when the first task needs them, started again when they end or stop
// sending, idle between stages, stopped at the end. Pure: no clock, no processes.
//
//   agent:  absent -> started -> registered (its Hello came)
//           awaited -> registered           an earlier coordinator has started it
//           awaited -> lost                 it has not come in time, or is another process
//           started -> lost                 it has not come up in time
//           started | registered -> lost    it ended or stopped sending
//           lost -> absent                  once a task needs agents: reported and counted
//
// An agent that an earlier coordinator has started may come with a lease of that one. It keeps the
// lease until somebody says whether the stage still needs it (StatedLeases, Settle); until then its
// messages wait.
//
// Invariants:
//   - each start has an incarnation of its own: messages of an earlier process are not its own;
//   - an agent that is lost holds no lease after Maintain, and states none;
//   - an agent that ended is started again after a wait, which grows from one end to the next.
// A message costs the same whatever the number of agents; Maintain as much as there are absent and
// lost ones.
#ifndef HALCYON_COORDINATOR_RUN_AGENT_POOL_H_
#define HALCYON_COORDINATOR_RUN_AGENT_POOL_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "coordinator/run/events.h"
#include "coordinator/run/phase_past.h"
#include "coordinator/run/restart_budget.h"
#include "coordinator/run/scheduler.h"

namespace halcyon::coordinator {

// How long the agents may take to end when they are told to.
inline constexpr int64_t kAgentEndMsMax = 5000;
// Until a started agent has sent Hello.
inline constexpr int64_t kAgentStartMsMax = 120'000;
// How long agents of an earlier coordinator may take to come. They notice its silence after
// kHeartbeatTimeoutMs, and look for the next one once a second; a network file system may show them
// an old contact file for some tens of seconds.
inline constexpr int64_t kAgentComesMsMax = 60'000;

// A lease of an earlier coordinator, as the agent that serves it says.
struct StatedLease {
  WorkerId worker;
  std::string stage, fingerprint, task;  // "latents", ..., "latents/3"
  Fence fence;
  bool has_failed = false;  // the agent has said so since
};

class AgentPool {
 public:
  // Of earlier agents those count whose names are among those of `agents`. `starts`: what earlier
  // coordinators have started has numbers up to this.
  AgentPool(int64_t agents, int64_t restarts_max, const HangLimits& hang = {},
            const std::vector<EarlierAgent>& earlier = {}, uint64_t starts = 0);

  // Earlier agents that have not come in time are lost, and those that were started and do not come
  // up: on another machine a launcher may wait for one for ever.
  void On(const event::Tick&, int64_t now_ms);
  void On(const event::AgentEnded& ended);
  void On(const event::Suspected& suspected);
  // An agent whose task stands still is lost. Returns the health of those that have a task.
  std::vector<WorkerHealth> On(const event::Beats& beats, int64_t now_ms);
  void On(const event::Paused&, int64_t now_ms);

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

  // Whether agents of an earlier coordinator have still to come.
  bool AwaitsEarlier() const { return awaited_ > 0; }
  // Ends the processes of lost agents now, and not only when a task needs agents.
  void EndLost(Effects* effects);
  // The leases that earlier agents still serve and that nobody has settled. Costs as much as there
  // are agents.
  std::vector<StatedLease> StatedLeases() const;
  // Whether one of them has this number: no other lease may have it. Costs nothing where there are
  // none.
  bool States(Fence fence) const;
  // The agent goes on with its lease (`is_adopted`), or the lease is void: then what it has made is
  // dropped, and an agent that is still at work on it is lost. Returns what the agent has sent
  // since it came, to be handled now. REQUIRES: it states one.
  std::vector<cluster::Message> Settle(const WorkerId& worker, bool is_adopted);

  // Sends Stop to all.
  void Stop(int64_t now_ms, Effects* effects);
  // After Stop: whether all have ended, or had time enough.
  bool MayLeave(int64_t now_ms, int stop_requests) const;
  // Kills those that still run.
  void End(Effects* effects);

 private:
  struct Lost {
    absl::Status how, room;
    bool is_blameless = false;  // does not count against the agent
  };
  struct Agent {
    WorkerId id;
    bool is_started = false;
    bool has_registered = false;
    // Started by an earlier coordinator: its Hello has not come; what that must say, where known.
    bool is_awaited = false;
    std::optional<ProcessIdentity> process = {};
    std::optional<StatedLease> stated = {};
    std::vector<cluster::Message> kept = {};  // since it has stated the lease
    std::string host = {};
    int64_t pid = 0;
    uint64_t start_time = 0;
    std::optional<Lost> lost = {};
    RestartBudget budget;
    int64_t start_after_ms = 0;
    PhaseReader reader = {};
  };
  struct Start {
    size_t agent = 0;
    uint64_t incarnation = 0;
    int64_t ms = 0;
  };
  // Its process, if that was not done yet.
  void End(Agent* agent, Effects* effects);
  absl::Status Report(Agent* agent, int64_t now_ms, Scheduler* scheduler, Effects* effects);
  void Register(Agent* agent, const cluster::Hello& hello, Effects* effects);
  // For those of an earlier coordinator.
  void Await(const EarlierAgent& earlier);
  void LoseAwaited(int64_t now_ms);
  void LoseThatDoNotComeUp(int64_t now_ms);
  bool MayReturn(Agent* agent, const cluster::Hello& hello);
  void Keep(Agent* agent, const cluster::Message& message);
  std::optional<size_t> IndexOf(std::string_view name) const;
  Agent* Find(const WorkerId& worker);
  void Lose(Agent* agent, Lost how);
  bool OthersWork() const;
  bool IsPausedAt(int64_t now_ms) const;

  uint64_t starts_;
  size_t awaited_ = 0, stating_ = 0;   // agents
  std::optional<int64_t> come_by_ms_;  // when those are lost
  std::optional<int64_t> paused_ms_, stopped_ms_;
  std::vector<Agent> agents_;   // "agent-3" is the fourth
  std::set<size_t> to_tend_;    // of agents_: absent and lost ones
  std::deque<Start> starting_;  // in the order of their times; some have come up, or ended
  PhasePast past_;              // of tasks, by stage
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_RUN_AGENT_POOL_H_
