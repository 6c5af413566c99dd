// What must hold after every event of a simulation. It sees the events and effects of the
// coordinator as the service sees them, and the disk; it knows nothing of the coordinator's state.
#ifndef HALCYON_TESTS_SIMULATION_CHECKER_H_
#define HALCYON_TESTS_SIMULATION_CHECKER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "coordinator/run/events.h"
#include "storage/checkpoint.h"

namespace halcyon::simulation {

class World;

class Checker {
 public:
  explicit Checker(const World* world) : world_(world) {}

  // What was found first; "" when nothing was.
  const std::string& violation() const { return violation_; }
  void Violated(const std::string& what) {
    if (violation_.empty()) violation_ = what;
  }

  // A new coordinator begins.
  void OnRun();
  void OnEvent(const coordinator::Event& event);
  void OnEffect(const coordinator::Effect& effect);
  // An ingest takes the file of the lease in.
  void OnIngest(const std::string& task, const std::string& fingerprint, uint32_t shard,
                uint64_t fence);
  void OnInstall(const std::string& fingerprint, const std::string& made_dir);
  void OnCheckpoint(const std::string& fingerprint, const storage::WriterFence& writer,
                    uint64_t step);
  // The state of the whole.
  void Check();

 private:
  // Of a task, in one run.
  struct Task {
    std::optional<WorkerId> holder;
    uint64_t fence = 0;  // of its last lease
    bool is_ingesting = false, is_done = false;
  };
  struct Kept {  // of a stage, on the disk
    size_t shards = 0;
    uint64_t newest_step = 0;
    storage::WriterFence fence;
  };
  struct Stated {  // a lease of an earlier run that an agent says it serves
    std::string task;
    WorkerId worker;
    bool has_result = false;
  };
  void OnLease(const WorkerId& worker, const cluster::Lease& lease);
  void OnAdoption(Fence lease);
  void OnStartAgent(const WorkerId& agent);
  void OnIngestEffect(const coordinator::effect::Ingest& ingest);
  void OnStageEffect(const coordinator::Effect& effect);
  void Release(const WorkerId& worker);
  std::string Fingerprint(jobs::NodeId stage) const;

  const World* world_;
  std::string violation_;
  std::map<std::string, uint64_t> last_fences_;  // by the stage's fingerprint // of any lease of
                                                 // any run
  std::map<std::string, storage::WriterFence> writers_;  // the last launch of each stage
  std::map<std::string, Kept> kept_;
  size_t artifacts_ = 0;

  // Of the present run.
  std::map<std::string, Task> tasks_;
  std::map<uint64_t, std::string> task_of_;  // by fence
  std::map<uint64_t, Stated> stated_;        // by fence
  std::set<std::string> preparing_;          // fingerprints of stages that are being made
  std::set<jobs::NodeId> launched_;          // gangs that have not ended
  std::map<jobs::NodeId, jobs::StageState> states_;
  std::set<WorkerId> agents_;  // that were started
};

}  // namespace halcyon::simulation

#endif  // HALCYON_TESTS_SIMULATION_CHECKER_H_
