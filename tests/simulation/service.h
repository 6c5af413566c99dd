// The simulated coordinator process: a real JobRun and FailureDetector, and what
// coordinator/job_service.h, worker_channel.h, processes.h and background.h do around them.
#ifndef HALCYON_TESTS_SIMULATION_SERVICE_H_
#define HALCYON_TESTS_SIMULATION_SERVICE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "cluster/failure_detector.h"
#include "cluster/reliable_stream.h"
#include "coordinator/run/job_run.h"
#include "tests/simulation/agent.h"
#include "tests/simulation/gang.h"
#include "tests/simulation/process.h"

namespace halcyon::simulation {

class Service : public Process {
 public:
  Service(World* world, uint64_t incarnation);
  uint64_t incarnation() const { return incarnation_; }
  // Whether the gang, which an earlier coordinator launched, is one that this one waits for.
  bool MayAdopt(const Gang& gang) const;
  bool MayAdopt(const WorkerId& agent) const;

  void Start();
  void Deliver(const cluster::Message& message);
  void RequestStop() { ++stops_asked_; }
  void Crash() { Die(); }

 private:
  // Work of the background: begins when the work before has ended, and is done once it is ready.
  struct Work {
    std::function<bool()> is_ready;
    std::function<coordinator::Event()> finish;
  };

  void Happen(coordinator::Event event);
  void Pump();
  void Execute(const coordinator::Effects& effects);
  void LookAround();
  void SendHeartbeats();
  void SendTo(const WorkerId& worker, cluster::Message message);
  void SendDue(const WorkerId& worker);
  coordinator::event::Beats Beats() const;
  void Post(
      std::function<coordinator::Event()> finish,
      std::function<bool()> is_ready = [] { return true; });
  void BeginWork();
  void TryWork();

  // One for each kind of effect but those that people see, and TrackRank: every rank of the
  // simulation is one of its launch.
  void Do(const coordinator::effect::Send& send);
  void Do(const coordinator::effect::Forget& forget);
  void Do(const coordinator::effect::StartAgent& start);
  void Do(const coordinator::effect::EndAgent& end);
  void Do(const coordinator::effect::CheckJob& check);
  void Do(const coordinator::effect::FindStage& find);
  void Do(const coordinator::effect::PrepareStage& prepare);
  void Do(const coordinator::effect::AdoptGang& adopt);
  void Do(const coordinator::effect::LeaveWorkers&) {}
  void Do(const coordinator::effect::ReleaseStage&) {}  // there is one job
  void Do(const coordinator::effect::ShowNote&) {}
  void Do(const coordinator::effect::Ingest& ingest);
  void Do(const coordinator::effect::Install& install);
  void Do(const coordinator::effect::PrepareLaunch& prepare);
  void Do(const coordinator::effect::Launch& launch);
  void Do(const coordinator::effect::KillGang& kill);
  void Do(const coordinator::effect::CheckRoom& check);
  void Do(const coordinator::effect::EndRanks& end);
  template <typename Shown>
  void Do(const Shown&) {}

  coordinator::EarlierWorkers EarlierWorkers();
  coordinator::EarlierLaunches EarlierGangs() const;
  void EndEarlierGangs();
  coordinator::PreparedStage Prepared(jobs::NodeId id) const;
  absl::Status IngestTask(const coordinator::effect::Ingest& ingest);
  absl::Status InstallStage(const coordinator::effect::Install& install);
  // An error that an operation ends with, instead of being done.
  absl::Status Trouble() const;
  std::string Fingerprint(jobs::NodeId id) const;
  const std::string& Label(jobs::NodeId id) const;

  // Planted bugs.
  void AcceptOldLease(cluster::Message message);
  bool IsDropped(const coordinator::Effect& effect) const;
  bool IsDropped(const coordinator::Event& event) const;

  World* world_;
  uint64_t incarnation_;
  std::map<jobs::NodeId, uint64_t> claims_;
  int64_t began_ms_;
  coordinator::EarlierLaunches earlier_;  // not adopted yet
  std::map<WorkerId, std::shared_ptr<Agent>> agents_;
  coordinator::JobRun run_;
  cluster::FailureDetector detector_;
  std::map<WorkerId, cluster::ReliableStream> streams_;  // of workers that get heartbeats
  std::set<WorkerId> forgotten_;
  std::map<WorkerId, cluster::Activity> activities_;  // of the last heartbeats
  std::deque<coordinator::Event> events_;
  std::deque<cluster::Message> unread_;  // that came while the process was stopped
  bool is_pumping_ = false;
  int stops_asked_ = 0, stops_told_ = 0;
  int64_t turned_ms_ = 0, heartbeat_ms_ = 0, beats_ms_ = 0;
  std::deque<Work> work_;

  struct Launched {
    uint64_t launch = 0;
    std::shared_ptr<Gang> gang;  // nullptr: it was not started
    bool end_told = false;
  };
  std::map<jobs::NodeId, Launched> gangs_;
  std::map<jobs::NodeId, coordinator::PreparedStage> prepared_;
  std::map<std::string, std::pair<uint64_t, WorkerId>> leases_;  // the last of each task
};

}  // namespace halcyon::simulation

#endif  // HALCYON_TESTS_SIMULATION_SERVICE_H_
