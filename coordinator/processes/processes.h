// The processes that a job has started: its agents, and the launcher and the ranks of each gang.
// Every one of them is recorded in the job's journal, so that the next coordinator can end those
// that outlive this one.
#ifndef HALCYON_COORDINATOR_PROCESSES_PROCESSES_H_
#define HALCYON_COORDINATOR_PROCESSES_PROCESSES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/messages.h"
#include "coordinator/job_context.h"
#include "coordinator/processes/child_end.h"
#include "coordinator/processes/earlier_gangs.h"
#include "coordinator/run/events.h"

namespace halcyon::coordinator {

// Not thread-safe. Those of an earlier coordinator that still run are this one's: its agents from
// the beginning, its gangs once they are adopted. The destructor kills all that still run.
class Processes {
 public:
  using Post = std::function<void(std::function<absl::Status()>)>;
  // `post` has records written, in order and elsewhere, and reports what fails.
  Processes(const JobContext* context, Post post);
  ~Processes();
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  absl::Status StartAgent(const WorkerId& agent);
  void EndAgent(const WorkerId& agent) { agents_.erase(agent); }

  // False: the ranks are not started before something else has come; Poll says for what it waits,
  // and when they are. kResourceExhausted: no room for the ranks' shared memory and logs.
  absl::StatusOr<bool> Launch(const effect::Launch& launch, const jobs::StageNode& node);
  // Takes over the launch that the job's journal names for the stage. kNotFound: none of it runs
  // any more, as far as this machine can tell.
  absl::Status Adopt(const effect::AdoptGang& adopt, const jobs::StageNode& node);
  // Gives all processes up without ending them.
  void Leave();
  // Remembers the process that the Hello names, when it is proven to be of the gang: then it is
  // killed with it.
  void TrackRank(const effect::TrackRank& track);
  void KillGang(NodeId stage);

  // What is left of a launch, to be ended.
  struct Launched {
    std::shared_ptr<cluster::Gang> gang;  // nullptr: it was not started
    std::optional<cluster::GangEnd> end;
    std::shared_ptr<ChildLog> log;
    std::vector<cluster::ProcessIdentity> ranks;  // of this machine, that were proven
  };
  // Gives it up: nothing of the launch is looked at here any more.
  Launched TakeGang(NodeId stage);
  // Kills its ranks and waits until they have ended, for 10 s at most. Any thread.
  // REQUIRES: its launcher has ended, or was not started.
  static GangRemains End(const JobContext& context, const Launched& gang, const std::string& label);
  // After a failure asks the hosts of a gang that was on several whether they are still there. Any
  // thread.
  static void FindLostHosts(const JobContext& context, const Launched& gang, GangRemains* remains);

  // What has ended since the last call. `room`: for a person, whether agents find room.
  std::vector<Event> Poll(const std::function<absl::Status()>& room);

 private:
  struct Agent {
    std::unique_ptr<cluster::Gang> process;
    ChildLog log;
  };
  struct Gang {
    uint64_t launch = 0;
    Launched launched;
    std::optional<std::string> waits_for;  // what was last said of it; nullopt: for nothing
  };
  void RecordGang(const jobs::StageNode& node, const effect::Launch& launch,
                  const cluster::Gang& gang);
  void AdoptAgents();
  void EndEarlierGangs();
  void Record(const std::string& name, const cluster::ProcessIdentity& process);
  cluster::GangOptions Options(const jobs::StageNode& node, const effect::Launch& launch) const;

  const JobContext* context_;
  const Post post_;
  const std::string agents_origin_;
  std::map<WorkerId, Agent> agents_;
  std::vector<Event> ended_;  // earlier agents that have ended before they were adopted
  std::map<NodeId, Gang> gangs_;
  EarlierGangs earlier_;  // not adopted yet
};

// An agent on another host has a launcher's process here.
inline constexpr int64_t kAgentsAHostMax = 8;

// launch.agents, or one a processor; on several hosts one a processor or slot of each, at most
// kAgentsAHostMax.
int64_t AgentCount(const jobs::JobSpec& spec, const cluster::Allocation& allocation);
std::string AgentLogPath(const JobContext& context, const std::string& agent);

// Whether the state folder's disk has room for ranks that are being started.
absl::Status CheckStartingRoom(const JobContext& context);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_PROCESSES_PROCESSES_H_
