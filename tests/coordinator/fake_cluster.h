// Agents, ranks and the network of a coordinator under test, in one object and one thread: messages
// are answered the moment they are sent, processes are `sleep`, time moves when no message waits.
#ifndef HALCYON_TESTS_COORDINATOR_FAKE_CLUSTER_H_
#define HALCYON_TESTS_COORDINATOR_FAKE_CLUSTER_H_

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cluster/launcher.h"
#include "cluster/transport.h"
#include "coordinator/job_context.h"

namespace halcyon::coordinator {

class FakeCluster : public cluster::ServerTransport,
                    public cluster::GangLauncher,
                    public AgentSpawner {
 public:
  explicit FakeCluster(SimulatedClock* clock) : clock_(clock) {}

  // What an agent does with a lease instead of the work; nullopt: the work.
  enum class Fault {
    kNone,
    kDie,
    kBreakSst,
    kSendStaleFirst,
    kFailBadInput,
    kFailByChance,
    kStopJob
  };
  std::function<std::optional<Fault>(const cluster::Lease&)> on_lease;
  // The status with which rank 0 of the stage's launch n ends.
  std::function<absl::Status(const std::string& stage, int launch)> on_gang;
  // The gang trains until it is told to stop; the stop comes after its first progress. It then
  // takes this long for its step, and saves it, or is ended without having saved.
  bool gangs_wait_for_stop = false;
  int64_t last_step_ms = 0;
  bool gangs_save = true;

  // A shell script in place of an agent, or of a launch, that never sends Hello; nullopt: as usual.
  // Its output goes to the log.
  std::function<std::optional<std::string>(const WorkerId&)> on_spawn;
  std::function<std::optional<std::string>(const std::string& stage, int launch)> on_launch;
  std::function<absl::Status()>
      on_check;                   // what the launcher's check returns before the first stage
  std::function<void()> on_turn;  // at each Receive
  pid_t hello_pid = 0;            // the pid that ranks report; 0: the true one
  std::string agent_log;

  int stops = 0;
  int checks = 0;
  std::vector<std::string> leases;                              // tasks, in order
  std::map<std::string, int> launches;                          // by stage
  std::map<std::string, cluster::StageAssignment> assignments;  // by stage, the last
  std::map<std::string, nlohmann::json> parameters;             // of leases, by task
  std::vector<std::string> warnings;                            // that every task sends
  bool fence_file_seen = true;  // at every launch the fence stood at its claim

  // ServerTransport
  absl::Status Send(const cluster::Message& message) override;
  absl::StatusOr<std::optional<cluster::Message>> Receive(int64_t timeout_ms) override;
  const std::string& endpoint() const override { return endpoint_; }
  // GangLauncher
  absl::Status Check(const cluster::LauncherCheck&) override {
    ++checks;
    return on_check ? on_check() : absl::OkStatus();
  }
  absl::StatusOr<std::unique_ptr<cluster::Gang>> Launch(
      const cluster::GangOptions& options) override;
  // AgentSpawner
  absl::StatusOr<std::unique_ptr<cluster::Gang>> Spawn(const WorkerId& agent) override;

  void SetIdentity(JobId job, Incarnation incarnation) {
    job_ = std::move(job);
    incarnation_ = incarnation;
    sent_.clear();
    received_.clear();
  }

  // As from that worker.
  void Send(const WorkerId& worker, cluster::Body body);

 private:
  void OnLease(const WorkerId& worker, const cluster::Lease& lease);
  void OnWelcome(const WorkerId& worker, const cluster::StageAssignment& assignment);
  void OnStop(const WorkerId& worker);
  void EndGang();

  SimulatedClock* clock_;
  std::string endpoint_ = "fake";
  JobId job_;
  Incarnation incarnation_;
  std::deque<cluster::Message> inbox_;
  std::map<WorkerId, uint64_t> sent_, received_;  // the numbers of each worker's streams
  std::map<WorkerId, pid_t> agents_;              // alive
  pid_t gang_pid_ = 0;
  std::vector<WorkerId> gang_ranks_;  // that wait to be told to stop
  std::string gang_stage_;
  std::optional<int64_t> gang_ends_ms_;
  int64_t alive_sent_ms_ = 0;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_TESTS_COORDINATOR_FAKE_CLUSTER_H_
