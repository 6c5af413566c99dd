// What must hold after every event of a simulation. It sees the events and effects of the
// coordinators as the services see them, leases as they are taken, and the disk; it knows nothing
// of a coordinator's state.
#ifndef HALCYON_TESTS_SIMULATION_CHECKER_H_
#define HALCYON_TESTS_SIMULATION_CHECKER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "coordinator/run/events.h"
#include "storage/checkpoint.h"
#include "storage/lease_rules.h"

namespace halcyon::simulation {

class Service;
class World;

class Checker {
 public:
  explicit Checker(const World* world) : world_(world) {}

  // What was found first; "" when nothing was.
  const std::string& violation() const { return violation_; }
  void Violated(const std::string& what) {
    if (violation_.empty()) violation_ = what;
  }

  // --- of one coordinator ---
  // It begins.
  void OnRun(const Service& service);
  void OnEvent(const Service& service, const coordinator::Event& event);
  void OnEffect(const Service& service, const coordinator::Effect& effect);
  // A file that is to be taken in or published is not there.
  void OnResultMissing(const Service& service, jobs::NodeId stage, uint32_t shard, Fence lease);
  // An artifact gets its name; `looked_ms`: when the claim was last seen to be the job's.
  void OnInstall(const Service& service, const coordinator::effect::Install& install,
                 int64_t looked_ms);
  void OnCheckpoint(const std::string& fingerprint, const storage::WriterFence& writer,
                    uint64_t step);

  // --- of leases (checker_leases.cc) ---
  // A look shows `who` that the lease is free, or its holder dead.
  void OnMayTake(const std::string& dir, const std::string& who, const storage::LeaseView& view);
  void OnLeaseTaken(const std::string& dir, uint64_t number);
  void OnBeat(const std::string& dir);
  // `who` waits, and names `holder`.
  void OnWait(const std::string& dir, const std::string& who, const storage::LeaseHolder& holder);

  // The state of the whole.
  void Check();

 private:
  // Of a task, in one run.
  struct Task {
    std::optional<WorkerId> holder;
    uint64_t fence = 0;  // of its last lease
    bool is_ingesting = false, is_done = false;
  };
  struct Stated {  // a lease of an earlier coordinator that an agent says it serves
    std::string task;
    WorkerId worker;
    bool has_result = false;
  };
  // What one coordinator has done.
  struct Run {
    std::map<std::string, Task> tasks;
    std::map<uint64_t, std::string> task_of;        // by fence
    std::map<uint64_t, Stated> stated;              // by fence
    std::map<std::string, uint64_t> last_fences;    // of leases, by the stage's fingerprint
    std::map<std::string, uint64_t> last_launches;  // by the stage's fingerprint
    std::set<std::string> preparing;                // fingerprints of stages that are being made
    std::set<jobs::NodeId> launched;                // gangs that have not ended
    std::map<jobs::NodeId, jobs::StageState> states;
    std::map<jobs::NodeId, std::string> notes, waits_for;
    std::set<WorkerId> agents;  // that were started
    bool is_ending = false;     // a stage has failed, or a stop was asked for
    void Release(const WorkerId& worker);
  };
  struct Kept {  // of a stage, on the disk
    size_t shards = 0;
    uint64_t newest_step = 0;
    storage::WriterFence fence;
  };
  struct Taken {                          // a lease
    std::map<uint64_t, int64_t> made_ms;  // by number
    int64_t beat_ms = 0;                  // the last
  };
  struct Published {
    uint64_t claim = 0;
    int64_t time_ms = 0;
  };
  Run& RunOf(const Service& service);
  void OnLease(const Service& service, const WorkerId& worker, const cluster::Lease& lease);
  void OnAdoption(Run* run, Fence lease);
  void OnStartAgent(const Service& service, const WorkerId& agent);
  void OnIngestEffect(Run* run, const coordinator::effect::Ingest& ingest);
  void OnStageEffect(const Service& service, const coordinator::Effect& effect);
  void OnPrepare(const Service& service, jobs::NodeId stage);
  void OnLaunch(const Service& service, const coordinator::effect::Launch& launch);
  // Whether the run goes so far.
  bool IsMadeBy(const Service& service, jobs::NodeId stage) const;
  void OnFound(const Service& service, const coordinator::event::StageFound& found);
  void CheckWaits();
  std::string Fingerprint(const Service& service, jobs::NodeId stage) const;

  const World* world_;
  std::string violation_;
  std::map<std::pair<size_t, uint64_t>, Run> runs_;    // by job and incarnation
  std::set<std::pair<std::string, uint64_t>> fences_;  // of all leases, by the stage's fingerprint
  std::map<std::string, storage::WriterFence> writers_;  // the highest launch of each stage
  std::set<std::pair<std::string, storage::WriterFence>> launches_;
  std::map<std::string, Kept> kept_;
  std::map<std::string, Taken> taken_;  // by the lease's folder
  std::map<std::string, Published> published_;
  size_t artifacts_ = 0;
};

}  // namespace halcyon::simulation

#endif  // HALCYON_TESTS_SIMULATION_CHECKER_H_
