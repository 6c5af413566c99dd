// What JobFiles commits of a stage: its results, and the artifact that it makes.
#include <map>
#include <utility>

#include "base/fault_point.h"
#include "cluster/outputs.h"
#include "coordinator/display/quality.h"
#include "coordinator/job_files.h"
#include "storage/artifact.h"

namespace halcyon::coordinator {

std::vector<event::Ingested> JobFiles::Ingest(const std::vector<effect::Ingest>& results) {
  std::vector<event::Ingested> answers;
  std::map<NodeId, std::vector<const effect::Ingest*>> of_caches;
  for (const effect::Ingest& one : results) {
    if (stage(one.stage).cache) {
      of_caches[one.stage].push_back(&one);
    } else {
      answers.push_back({one.stage, one.fence, TakeOutcome(one)});
    }
  }
  for (const auto& [id, shards] : of_caches) {
    const std::vector<absl::Status> ingested = stage(id).cache->Ingest(shards);
    for (size_t i = 0; i < shards.size(); ++i) {
      answers.push_back({id, shards[i]->fence, ingested[i]});
    }
  }
  return answers;
}

absl::Status JobFiles::TakeOutcome(const effect::Ingest& ingest) {
  Stage& one = stage(ingest.stage);
  RETURN_IF_ERROR(one.claim->Check());
  const std::string made = cluster::TaskOutputDir(one.assignment, ingest.fence.value());
  ASSIGN_OR_RETURN(one.outcome, OutcomeFromResult(ingest.result, made));
  return absl::OkStatus();
}

void JobFiles::TidyUp(NodeId id) {
  if (stage(id).cache) stage(id).cache->MergeSome();
}

absl::StatusOr<std::string> JobFiles::Install(NodeId id, const StageOutcome& outcome) {
  Stage& one = stage(id);
  // Another job that has taken the stage over may be publishing under the same names.
  RETURN_IF_ERROR(one.claim->Check());
  if (jobs::ShapeOf(kind(id)) == jobs::StageShape::kGang) {
    one.outcome = outcome;
  } else if (one.cache) {
    const std::string place =
        context_->home.Artifact(one.assignment.stage, one.assignment.fingerprint);
    ASSIGN_OR_RETURN(one.outcome, one.cache->Publish(place + ".tmp"));
    one.cache.reset();
  }
  RETURN_IF_ERROR(InstallOutcome(id, std::exchange(one.outcome, {})));
  // A gang's folder holds its checkpoints and metrics, which a person may want. That of another job
  // which has taken the stage over meanwhile is not this one's to remove.
  if (jobs::ShapeOf(kind(id)) != jobs::StageShape::kGang && one.claim->Check().ok()) {
    RETURN_IF_ERROR(context_->env->RemoveTree(one.assignment.work_dir));
  }
  Release(id);
  return QualityWarning(kind(id), one.artifact->facts);
}

absl::Status JobFiles::InstallOutcome(NodeId id, StageOutcome outcome) {
  Stage& one = stage(id);
  RETURN_IF_ERROR(one.claim->Check());
  Artifact artifact;
  artifact.record.kind = kind(id);
  artifact.record.fingerprint = one.assignment.fingerprint;
  artifact.record.content_digest = outcome.content_digest;
  artifact.record.fields = one.identity.fields;
  artifact.record.job_id = context_->job.value();
  artifact.record.created_ms = context_->clock->WallMs();
  artifact.record.bytes = outcome.bytes;
  artifact.facts = std::move(outcome.facts);
  FaultPoint("coordinator install " + label(id));
  ASSIGN_OR_RETURN(one.artifact, store_.Install(artifact, outcome.made_dir));
  return absl::OkStatus();
}

}  // namespace halcyon::coordinator
