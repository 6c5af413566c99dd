// A job of the simulation, and whoever runs it until it is done: a person who repeats the command
// on one of the machines, or Slurm with the script of coordinator/submit/slurm_script.h.
#ifndef HALCYON_TESTS_SIMULATION_JOB_H_
#define HALCYON_TESTS_SIMULATION_JOB_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "cluster/messages.h"
#include "jobs/stage_graph.h"
#include "storage/checkpoint.h"
#include "storage/lease_rules.h"
#include "tests/simulation/scenario.h"

namespace halcyon::simulation {

class Gang;
class Service;
class World;

// Machines that the job has for a while.
struct Allocation {
  std::vector<size_t> hosts;
  int64_t end_ms = 0;        // by its time limit; 0: none
  bool is_stopping = false;  // the script has had a signal
  int restarts = 0;          // of the coordinator, by the script
};

class Job {
 public:
  Job(World* world, size_t number, const JobScenario& scenario);

  void Begin();
  // How far a run of it goes that begins now; nullopt: to its end.
  std::optional<jobs::StageKind> ChooseUntil();
  // Its coordinator, by itself; `has_left`: another has its workers, and they go on.
  void Ended(Service* service, const absl::Status& how, bool has_left);

  // --- faults ---
  void CrashCoordinator();
  // Somebody believes that the coordinator is dead, and runs the job on another machine as well.
  void RunTwice();
  void Preempt();
  void LoseHost(size_t host);

  World& world() const { return *world_; }
  size_t number() const { return number_; }
  const std::string& name() const { return name_; }
  // Of what the trace says of it: "" when there is one job.
  std::string prefix() const;
  bool is_done() const { return is_done_; }
  // The coordinator that owns the job, or believes so; the newest. nullptr: none.
  std::shared_ptr<Service> Present() const;
  // The one of that incarnation.
  std::shared_ptr<Service> Of(uint64_t incarnation) const;
  // Those that run, waiting ones too.
  const std::vector<std::shared_ptr<Service>>& services() const { return services_; }
  void ToWorker(const WorkerId& worker, uint64_t incarnation, const cluster::Message& message);
  // Where its processes may be.
  std::vector<size_t> Hosts() const;
  int64_t allocation_end_ms() const { return allocation_ ? allocation_->end_ms : 0; }

  const JobScenario scenario;
  const jobs::StageGraph graph;
  // The journal's records of the gangs launched last, by the label of their stage.
  struct LaunchRecord {
    std::string fingerprint;
    storage::WriterFence writer;
    int64_t ranks = 0;
  };
  std::map<std::string, LaunchRecord> launches;
  // Likewise of agents, by their names.
  struct AgentRecord {
    WorkerId id;
    size_t launcher_host = 0;
  };
  std::map<std::string, AgentRecord> agents;

 private:
  void StartCoordinator(size_t host);
  void StartSomewhere();
  void Remove(const Service* service);
  // Ends the workers of a coordinator that is gone, but for those that are too far away.
  void EndWorkersOf(const Service& service, bool may_stay);
  void BeginAllocation();
  void SignalScript();
  void EndAllocation(const std::shared_ptr<Allocation>& allocation, const std::string& why);

  World* world_;
  size_t number_;
  std::string name_;
  std::vector<std::shared_ptr<Service>> services_;
  std::shared_ptr<Allocation> allocation_;
  bool is_done_ = false, made_part_ = false;
};

}  // namespace halcyon::simulation

#endif  // HALCYON_TESTS_SIMULATION_JOB_H_
