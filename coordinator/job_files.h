// What a running job does to files: its checks, and of each stage the search for its artifact, its
// work folder, its commits, and its installation. Every call blocks.
#ifndef HALCYON_COORDINATOR_JOB_FILES_H_
#define HALCYON_COORDINATOR_JOB_FILES_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/job_context.h"
#include "coordinator/notes.h"
#include "coordinator/run/events.h"
#include "coordinator/stages/artifact_store.h"
#include "coordinator/stages/cache_stage.h"
#include "coordinator/stages/stage_claim.h"
#include "jobs/stage_graph.h"
#include "jobs/stage_identity.h"
#include "pipeline/sources/source_plans.h"
#include "storage/source_digests.h"

namespace halcyon::coordinator {

// Used by one thread at a time. Borrows context and graph.
// REQUIRES: the graph is of the context's spec alone.
class JobFiles {
 public:
  JobFiles(const JobContext* context, const jobs::StageGraph* graph);

  // Before the first stage: whether the job can be run here, and the digests of its sources.
  absl::Status CheckJob();
  // The remembered digests of the sources were wrong: reads them anew, for the next run.
  void RereadSources();

  // Whether the stage's artifact is there. When not, the launcher and the tokens are checked before
  // the first stage that needs them is made, and the stage is claimed, if no other job has it.
  // One that is only looked for is not claimed, and nothing is checked for it.
  // REQUIRES: its inputs are made.
  absl::StatusOr<FoundStage> Find(const effect::FindStage& find, Notes* notes);
  // Gives the stage's claim up, if it is held.
  void Release(NodeId id);
  // REQUIRES for these: the one before has succeeded.
  absl::StatusOr<PreparedStage> Prepare(const effect::PrepareStage& prepare, Notes* notes);
  // Commits results; one answer for each, those of a stage in their order.
  std::vector<event::Ingested> Ingest(const std::vector<effect::Ingest>& results);
  // Work on the stage's commits that nothing waits for. Does nothing when the stage is not made.
  void TidyUp(NodeId id);
  // A warning about a poor result, or "". `outcome`: of a gang.
  absl::StatusOr<std::string> Install(NodeId id, const StageOutcome& outcome);

  // Before a launch of a gang: fences earlier ones off its checkpoints, removes what they left.
  absl::Status PrepareLaunch(NodeId id, uint64_t launch);
  // Step of the newest committed checkpoint; 0 when there is none.
  absl::StatusOr<uint64_t> NewestStep(NodeId id) const;

  // nullptr while it is not made.
  const Artifact* artifact(NodeId id) const;

 private:
  // Of a stage that is being made.
  struct Stage {
    std::optional<Artifact> artifact;
    jobs::StageIdentity identity;
    cluster::StageAssignment assignment;
    std::unique_ptr<CacheStage> cache;  // of a stage of shards
    StageOutcome outcome;               // of a single task
    std::optional<StageClaim> claim;    // held, or tried for
  };

  jobs::StageIdentity IdentityOf(NodeId id) const;
  // The existing artifact. With remake_damaged a damaged one is set aside and counts as none.
  absl::StatusOr<std::optional<Artifact>> FindMade(NodeId id, const std::string& fingerprint,
                                                   Notes* notes);
  absl::Status CheckBeforeMaking(NodeId id, Notes* notes);
  // Holds the claim afterwards, or says in `found` who has it.
  absl::Status Claim(NodeId id, FoundStage* found);
  cluster::StageAssignment Assign(NodeId id) const;
  std::optional<EarlierGang> EarlierGangOf(NodeId id) const;
  absl::Status OpenCache(const effect::PrepareStage& prepare, Notes* notes);
  // Of a single task.
  absl::Status TakeOutcome(const effect::Ingest& ingest);
  absl::Status InstallOutcome(NodeId id, StageOutcome outcome);
  const Artifact* ArtifactOf(jobs::StageKind kind) const;

  jobs::StageKind kind(NodeId id) const { return graph_->node(id).kind; }
  const std::string& label(NodeId id) const { return graph_->node(id).label; }
  Stage& stage(NodeId id) { return stages_.at(id.value()); }
  const Stage& stage(NodeId id) const { return stages_.at(id.value()); }

  const JobContext* context_;
  const jobs::StageGraph* graph_;
  ArtifactStore store_;
  pipeline::SourcePlans sources_;
  storage::SourceDigests tokenizer_digests_;
  std::vector<Stage> stages_;  // by node
  std::vector<std::string> source_digests_;
  std::set<std::string> made_before_;  // fingerprints, of this job's earlier runs
  std::string tokenizer_file_digest_;  // "" without [tokenizer] path
  bool launcher_checked_ = false, tokens_checked_ = false;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_JOB_FILES_H_
