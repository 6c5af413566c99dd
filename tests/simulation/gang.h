// A launch of a gang: its launcher and its ranks, which behave as worker/training/ does. A step is
// done when all ranks live and run; rank 0 commits checkpoints under the launch's fence.
#ifndef HALCYON_TESTS_SIMULATION_GANG_H_
#define HALCYON_TESTS_SIMULATION_GANG_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "storage/checkpoint.h"
#include "tests/simulation/worker.h"

namespace halcyon::simulation {

class Gang;

class Rank : public Worker {
 public:
  Rank(Job* job, WorkerId id, uint64_t incarnation, size_t host, std::weak_ptr<Gang> gang,
       uint32_t number)
      : Worker(job, std::move(id), incarnation, host), gang_(std::move(gang)), number_(number) {}
  void Start() override;
  bool is_welcome() const { return is_welcome_; }
  // It has done a step, or has come to the end of one and waits for the others.
  void OnStep(uint64_t step);
  void Progress(uint64_t step, uint64_t steps);
  // Sends how it ended, and ends.
  void Finish(const absl::Status& how);

 private:
  void OnMessage(const cluster::Body& body) override;
  void OnEnd() override;
  bool MayBeAdoptedBy(const Service& service) const override;
  cluster::Activity Doing() const override;

  std::weak_ptr<Gang> gang_;
  uint32_t number_;
  bool is_welcome_ = false;
  uint64_t steps_done_ = 0;
};

class Gang : public std::enable_shared_from_this<Gang> {
 public:
  Gang(Job* job, std::string fingerprint, std::string rank_prefix, storage::WriterFence writer,
       size_t launcher_host);

  void Launch(int64_t ranks, const std::vector<size_t>& hosts, uint64_t incarnation);
  // What is left when a machine has lost its power.
  void LoseHost(size_t host);
  // mpirun is killed, and its ranks with it; lingering ones go on for a while.
  void KillLauncher();
  // Kills what can be killed; some linger.
  void KillRanks();

  const Job& job() const { return *job_; }
  size_t launcher_host() const { return launcher_host_; }
  std::set<size_t> Hosts() const;                                    // of its ranks
  const std::optional<absl::Status>& exit() const { return exit_; }  // of the launcher
  bool any_alive() const;
  const std::string& rank_prefix() const { return rank_prefix_; }
  // A rank that hangs does not come to the end of the step, for which the others wait.
  bool any_hung() const;
  // Whether what its ranks write, now or once they have started, would count.
  bool MayCommit() const;
  const std::string& fingerprint() const { return fingerprint_; }
  const storage::WriterFence& writer() const { return writer_; }

  // Of its ranks.
  void Welcomed(const cluster::StageAssignment& assignment);
  void AskToStop() { is_stopping_ = true; }
  void RankEnded();

 private:
  bool all_alive() const;
  void Step();
  void Checkpoint();
  void Finish(const absl::Status& how);
  std::string Name() const;  // for the trace
  // The launcher ends, and the ranks that are left after a while.
  void EndLauncher(const std::string& why, int64_t ranks_after_ms);

  Job* job_;
  World* world_;
  std::string fingerprint_, rank_prefix_;
  storage::WriterFence writer_;
  size_t launcher_host_;
  std::vector<std::shared_ptr<Rank>> ranks_;
  cluster::StageAssignment assignment_;
  std::optional<absl::Status> exit_;
  absl::Status how_;
  uint64_t step_ = 0;
  bool is_training_ = false, is_stopping_ = false, is_finishing_ = false, lingers_ = false;
};

}  // namespace halcyon::simulation

#endif  // HALCYON_TESTS_SIMULATION_GANG_H_
