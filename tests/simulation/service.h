// The simulated coordinator process: a real JobRun, FailureDetector and StopSchedule, and what
// coordinator/run_job.h, job_service.h, worker_channel.h, processes.h, lease_keeper.h and
// background.h do around them.
#ifndef HALCYON_TESTS_SIMULATION_SERVICE_H_
#define HALCYON_TESTS_SIMULATION_SERVICE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "cluster/failure_detector.h"
#include "cluster/reliable_stream.h"
#include "coordinator/run/job_run.h"
#include "coordinator/run/stop_schedule.h"
#include "tests/simulation/agent.h"
#include "tests/simulation/gang.h"
#include "tests/simulation/lease.h"
#include "tests/simulation/process.h"

namespace halcyon::simulation {

class Job;

class Service : public Process {
 public:
  Service(Job* job, size_t host);
  std::shared_ptr<Service> Self();
  const Job& job() const { return *job_; }
  uint64_t incarnation() const { return incarnation_; }  // 0: it waits for the job
  // The last stage that this run makes; nullopt: all.
  std::optional<jobs::StageKind> until() const { return until_; }
  int64_t began_ms() const { return began_ms_; }
  std::string Name() const { return self_.ToString(); }  // for people
  // Whether an earlier coordinator has started it, and this one waits for it.
  bool MayAdopt(const Gang& gang) const;
  bool MayAdopt(const WorkerId& agent) const;

  void Start();
  void Deliver(const cluster::Message& message);
  void RequestStop() { ++stops_asked_; }
  void Crash() { Die(); }
  // The stage's claim, as far as this process knows; 0: it has none.
  uint64_t ClaimOf(jobs::NodeId id) const;

 private:
  // Work of the background: begins when the work before has ended, and is done once it is ready, in
  // steps, the last of which gives the answer. Between two others act, or this process is stopped.
  using Steps = std::function<std::optional<coordinator::Event>()>;
  struct Work {
    std::function<bool()> is_ready;
    Steps step;
  };

  void SeekJob();
  void Begin();
  void EndOldWorkers();
  void RenewLeases();
  void Happen(coordinator::Event event);
  void Pump();
  void LeaveJob();
  void Execute(const coordinator::Effects& effects);
  void LookAround();
  void SendHeartbeats();
  void SendTo(const WorkerId& worker, cluster::Message message);
  void SendDue(const WorkerId& worker);
  coordinator::event::Beats Beats() const;
  void Post(
      Steps step, std::function<bool()> is_ready = [] { return true; });
  void BeginWork();
  void TryWork();
  int64_t GapMs();

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
  void Do(const coordinator::effect::LeaveWorkers&) { has_left_ = true; }
  void Do(const coordinator::effect::ReleaseStage& release);
  void Do(const coordinator::effect::Ingest& ingest);
  void Do(const coordinator::effect::Install& install);
  void Do(const coordinator::effect::PrepareLaunch& prepare);
  void Do(const coordinator::effect::Launch& launch);
  void Do(const coordinator::effect::KillGang& kill);
  void Do(const coordinator::effect::CheckRoom& check);
  void Do(const coordinator::effect::EndRanks& end);
  template <typename Shown>
  void Do(const Shown&) {}

  coordinator::EarlierLaunches EarlierGangs() const;
  std::vector<coordinator::EarlierAgent> TakeEarlierAgents();
  void EndEarlierGangs();
  bool IsHere(const Gang& gang) const;
  std::vector<size_t> HostsWithout(const std::vector<std::string>& excluded) const;
  void FindLostHosts(const Gang& gang, coordinator::GangRemains* remains) const;
  Lease& Claim(jobs::NodeId id);
  std::optional<coordinator::FoundStage> FindStep(jobs::NodeId id, int step);
  void Release(jobs::NodeId id);
  coordinator::PreparedStage Prepared(jobs::NodeId id) const;
  absl::Status OpenCache(jobs::NodeId id);
  void RemoveLeftovers(jobs::NodeId id, const std::vector<Fence>& leases);
  uint32_t ShardOf(const coordinator::effect::Ingest& ingest) const;
  absl::Status CheckResult(const coordinator::effect::Ingest& ingest);
  absl::Status CheckFile(jobs::NodeId id, uint32_t shard, Fence lease) const;
  absl::Status TakeIn(const coordinator::effect::Ingest& ingest);
  absl::Status CheckInstall(jobs::NodeId id);
  void InstallStage(const coordinator::effect::Install& install, int64_t looked_ms);
  storage::WriterFence WriterOf(jobs::NodeId id, uint64_t launch) const;
  // An error that an operation ends with, instead of being done.
  absl::Status Trouble() const;
  std::string Fingerprint(jobs::NodeId id) const;
  const std::string& Label(jobs::NodeId id) const;

  // Planted bugs.
  void AcceptOldLease(cluster::Message message);
  bool IsDropped(const coordinator::Effect& effect) const;
  bool IsDropped(const coordinator::Event& event) const;

  Job* job_;
  World* world_;
  storage::LeaseHolder self_;
  std::optional<Lease> owner_;
  std::optional<storage::LeaseHolder> owner_before_;
  uint64_t incarnation_ = 0;
  std::map<jobs::NodeId, Lease> claims_;  // held, or tried for
  absl::Status job_lost_, stage_lost_;
  bool job_lost_told_ = false, stage_lost_told_ = false, has_left_ = false;
  int64_t began_ms_;
  coordinator::EarlierLaunches earlier_;  // not adopted yet
  std::optional<jobs::StageKind> until_;
  std::optional<coordinator::JobRun> run_;
  coordinator::StopSchedule stop_schedule_;
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

  std::map<WorkerId, std::shared_ptr<Agent>> agents_;  // also those that have still to come
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
