// A job from its resolved spec to its artifacts: stage after stage, each reused when an artifact of
// the same identity exists and made otherwise. A stage goes on from what was committed before a
// crash.
#ifndef HALCYON_COORDINATOR_COORDINATOR_H_
#define HALCYON_COORDINATOR_COORDINATOR_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/agent_pool.h"
#include "coordinator/artifact_store.h"
#include "coordinator/job_context.h"
#include "coordinator/process_registry.h"
#include "coordinator/stage_outcome.h"
#include "coordinator/status_board.h"
#include "coordinator/task_stage.h"
#include "coordinator/worker_channel.h"

namespace halcyon::coordinator {

// One job, run once by one thread.
// REQUIRES: the home's lock is held, the old incarnation has ended (coordinator/recovery.h), and
// job.toml and the alive file are written.
class Coordinator {
 public:
  explicit Coordinator(const JobContext* context);

  // Keeps the connection to the workers on a thread of its own, so that nothing that Run does
  // delays a heartbeat. Call before Run; without it Run does everything on its one thread.
  void StartChannelThread() { channel_.StartThread(); }

  // Runs all stages; the artifacts by stage. The status and the journal say at the end how the job
  // ended. kAborted when told to stop.
  absl::StatusOr<std::map<jobs::StageKind, Artifact>> Run();

  const JobStatus& status() const { return status_.status(); }

 private:
  absl::Status RunStages();
  absl::Status RunStage(jobs::StageKind kind);
  // The existing artifact. With remake_damaged a damaged one is set aside and counts as none.
  absl::StatusOr<std::optional<Artifact>> FindMade(jobs::StageKind kind,
                                                   const std::string& fingerprint);
  // Before the first stage is made: whether the gangs that are still to come can be launched.
  absl::Status CheckLauncher(jobs::StageKind first_made);
  absl::StatusOr<Artifact> Make(const jobs::StageIdentity& identity, const std::string& why);
  cluster::StageAssignment Assign(const jobs::StageIdentity& identity);
  absl::StatusOr<StageOutcome> MakeOutcome(const cluster::StageAssignment& assignment,
                                           const jobs::StageIdentity& identity);
  absl::StatusOr<StageOutcome> RunSingleTask(const cluster::StageAssignment& assignment);
  absl::Status DigestSources();
  // Before anything is made: refuses what certainly does not fit on this machine.
  absl::Status CheckMachine();
  // Once a run, before anything is made of the tokens: whether they suffice.
  absl::Status CheckTokens();
  // kResourceExhausted when the state folder's disk has less than `bytes` for `purpose`.
  absl::Status CheckRoomFor(uint64_t bytes, const std::string& purpose) const;
  // Reads the sources' digests anew for the next run: the remembered ones were wrong.
  void RereadSources();

  const JobContext* context_;
  WorkerChannel channel_;
  Scheduler scheduler_;
  ProcessRegistry registry_;
  AgentPool agents_;
  FenceSource fences_;
  StatusBoard status_;
  ArtifactStore store_;
  StageTools tools_;
  bool launcher_checked_ = false;
  std::vector<std::string> source_digests_;
  std::string tokenizer_file_digest_;  // "" without [tokenizer] path
  bool tokens_checked_ = false;
  std::map<jobs::StageKind, Artifact> artifacts_;
};

// The content digests of a stage's inputs. REQUIRES: all of them are in `artifacts`.
std::map<jobs::StageKind, std::string> InputDigests(
    jobs::StageKind kind, const jobs::JobSpec& spec,
    const std::map<jobs::StageKind, Artifact>& artifacts);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_COORDINATOR_H_
