#include "coordinator/job_files.h"

#include <spdlog/spdlog.h>

#include <map>
#include <utility>

#include "cluster/outputs.h"
#include "coordinator/checks/job_checks.h"
#include "coordinator/display/explain.h"
#include "coordinator/stages/start_over.h"
#include "coordinator/work/prepare_work.h"
#include "coordinator/work/work_folders.h"
#include "storage/checkpoint.h"

namespace halcyon::coordinator {
namespace {

// Removes unfinished artifacts that killed launches left.
absl::Status RemoveOutputs(Env& env, const std::string& work_dir) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, env.ListDir(work_dir));
  for (const std::string& name : names) {
    if (!name.starts_with(cluster::kOutputPrefix)) continue;
    RETURN_IF_ERROR(env.RemoveTree(JoinPath(work_dir, name)));
  }
  return absl::OkStatus();
}

}  // namespace

JobFiles::JobFiles(const JobContext* context, const jobs::StageGraph* graph)
    : context_(context),
      graph_(graph),
      store_(*context->env, context->home),
      sources_(*context->env, context->home.Sources()),
      tokenizer_digests_(*context->env, context->home.Sources()),
      stages_(graph->size()) {
  for (const storage::StageRecord& stage : context->journal->history().job.stages) {
    const bool is_made =
        stage.state == jobs::StageState::kDone || stage.state == jobs::StageState::kReused;
    if (is_made) made_before_.insert(stage.fingerprint);
  }
}

absl::Status JobFiles::CheckJob() {
  RETURN_IF_ERROR(store_.CheckPlaces(jobs::StagesOf(context_->spec)));
  ASSIGN_OR_RETURN(source_digests_, sources_.DigestsOf(context_->spec.data));
  const std::string& tokenizer = context_->spec.tokenizer.path;
  if (!tokenizer.empty()) {
    ASSIGN_OR_RETURN(tokenizer_file_digest_, tokenizer_digests_.Of(tokenizer));
  }
  return CheckMachine(*context_, store_);
}

void JobFiles::RereadSources() {
  const absl::Status read = sources_.ReadAnew(context_->spec.data);
  if (!read.ok()) spdlog::warn("{}", MessageOf(read));
  if (context_->spec.tokenizer.path.empty()) return;
  const auto file = tokenizer_digests_.ReadAnew(context_->spec.tokenizer.path);
  if (!file.ok()) spdlog::warn("{}", MessageOf(file.status()));
}

jobs::StageIdentity JobFiles::IdentityOf(NodeId id) const {
  std::map<jobs::StageKind, std::string> digests;
  for (const NodeId input : graph_->node(id).inputs) {
    digests[kind(input)] = artifact(input)->record.content_digest;
  }
  return jobs::IdentityOf(kind(id), context_->spec, source_digests_, digests,
                          tokenizer_file_digest_);
}

absl::StatusOr<FoundStage> JobFiles::Find(const effect::FindStage& find, Notes* notes) {
  const NodeId id = find.stage;
  Stage& one = stage(id);
  one.identity = IdentityOf(id);
  FoundStage found;
  found.fingerprint = one.identity.Fingerprint();
  if (!find.is_claimed) {
    ASSIGN_OR_RETURN(one.artifact, store_.Find(kind(id), found.fingerprint));
    found.is_made = one.artifact.has_value();
    return found;
  }
  ASSIGN_OR_RETURN(one.artifact, FindMade(id, found.fingerprint, notes));
  found.is_made = one.artifact.has_value();
  if (found.is_made) return found;
  RETURN_IF_ERROR(CheckBeforeMaking(id, notes));
  RETURN_IF_ERROR(Claim(id, &found));
  if (found.claim == 0) return found;
  // The job that had the claim before may have finished it.
  ASSIGN_OR_RETURN(one.artifact, FindMade(id, found.fingerprint, notes));
  found.is_made = one.artifact.has_value();
  if (found.is_made) {
    Release(id);
    return found;
  }
  if (made_before_.contains(found.fingerprint)) {
    const std::string name(jobs::StageName(kind(id)));
    found.why = "the earlier one is gone from " + context_->home.Artifact(name, found.fingerprint);
    return found;
  }
  ASSIGN_OR_RETURN(const auto earlier, store_.List());
  found.why = WhyMade(one.identity, earlier);
  return found;
}

absl::Status JobFiles::Claim(NodeId id, FoundStage* found) {
  Stage& one = stage(id);
  if (!one.claim) one.claim.emplace(context_, kind(id), found->fingerprint);
  ASSIGN_OR_RETURN(const bool is_mine, one.claim->TryTake());
  if (is_mine) {
    found->claim = one.claim->number();
  } else {
    found->busy_with = one.claim->holder();
  }
  return absl::OkStatus();
}

void JobFiles::Release(NodeId id) {
  stage(id).cache.reset();  // asks for the claim
  stage(id).claim.reset();
}

absl::StatusOr<std::optional<Artifact>> JobFiles::FindMade(NodeId id,
                                                           const std::string& fingerprint,
                                                           Notes* notes) {
  auto found = context_->remake_damaged ? store_.FindVerified(kind(id), fingerprint)
                                        : store_.Find(kind(id), fingerprint);
  const absl::Status& status = found.status();
  if (!context_->remake_damaged || !absl::IsDataLoss(status)) return found;
  ASSIGN_OR_RETURN(const std::string aside, store_.SetAside(kind(id), fingerprint));
  notes->push_back(label(id) + ": damaged, now " + aside + ": " + MessageOf(status));
  return std::nullopt;
}

absl::Status JobFiles::CheckBeforeMaking(NodeId id, Notes* notes) {
  if (!launcher_checked_) {
    launcher_checked_ = true;
    for (size_t i = id.value(); i < graph_->size(); ++i) {
      if (jobs::ShapeOf(kind(NodeId(i))) != jobs::StageShape::kGang) continue;
      if (!Makes(*context_, kind(NodeId(i)))) continue;
      RETURN_IF_ERROR(context_->gang_launcher->Check(
          {.scratch_dir = LauncherScratchDir(*context_) + "-check",
           .working_dir = context_->home.Job(context_->job.value()),
           .worker_program = context_->worker_program,
           .is_stopped = [this] { return context_->stop_requests() > 0; }}));
      RETURN_IF_ERROR(CheckGpus(*context_));
      break;
    }
  }
  const Artifact* tokens = ArtifactOf(jobs::StageKind::kTokens);
  if (tokens == nullptr || tokens_checked_) return absl::OkStatus();
  tokens_checked_ = true;
  // With an autoencoder made earlier, latents made earlier are the rule.
  const bool needs_latents = Makes(*context_, jobs::StageKind::kLatents) &&
                             ArtifactOf(jobs::StageKind::kAutoencoder) == nullptr;
  return CheckTokens(*context_, storage::GenerationPath(tokens->record.path), needs_latents, notes);
}

cluster::StageAssignment JobFiles::Assign(NodeId id) const {
  cluster::StageAssignment assignment;
  assignment.stage = jobs::StageName(kind(id));
  assignment.fingerprint = stage(id).identity.Fingerprint();
  assignment.spec_path = context_->home.JobSpec(context_->job.value());
  assignment.work_dir = context_->home.Work(assignment.stage, assignment.fingerprint);
  for (const NodeId input : graph_->AncestorsOf(id)) {
    const std::string name(jobs::StageName(kind(input)));
    assignment.input_paths[name] = artifact(input)->record.path;
    assignment.input_digests[name] = artifact(input)->record.content_digest;
  }
  assignment.claim = stage(id).claim->number();
  return assignment;
}

absl::StatusOr<PreparedStage> JobFiles::Prepare(const effect::PrepareStage& prepare, Notes* notes) {
  const NodeId id = prepare.stage;
  Stage& one = stage(id);
  one.assignment = Assign(id);
  Env& env = *context_->env;
  if (context_->from_scratch) RETURN_IF_ERROR(StartOver(env, one.assignment.work_dir, notes));
  RETURN_IF_ERROR(PrepareWork(*context_, one.identity, one.assignment, notes));
  PreparedStage prepared;
  prepared.assignment = one.assignment;
  switch (jobs::ShapeOf(kind(id))) {
    case jobs::StageShape::kSingleTask:
      prepared.tasks.Add(label(id), {{"source_plans", context_->home.Sources()},
                                     {"source_digests", source_digests_},
                                     {"tokenizer_file_digest", tokenizer_file_digest_}});
      break;
    case jobs::StageShape::kShardTasks:
      RETURN_IF_ERROR(OpenCache(prepare, notes));
      prepared.tasks = one.cache->missing();
      prepared.tasks_done = one.cache->committed();
      break;
    case jobs::StageShape::kGang:
      RETURN_IF_ERROR(env.CreateDirs(cluster::CheckpointsDir(one.assignment.work_dir)));
      ASSIGN_OR_RETURN(prepared.newest_step, NewestStep(id));
      if (!context_->from_scratch) prepared.earlier_gang = EarlierGangOf(id);
      break;
  }
  return prepared;
}

// One whose commits the stage still takes: nobody has fenced it off.
std::optional<EarlierGang> JobFiles::EarlierGangOf(NodeId id) const {
  const auto found = context_->earlier_gangs.find(label(id));
  if (found == context_->earlier_gangs.end()) return std::nullopt;
  const EarlierGangRecord& gang = found->second;
  const cluster::StageAssignment& assignment = stage(id).assignment;
  const auto fence =
      storage::CheckpointStore(*context_->env, cluster::CheckpointsDir(assignment.work_dir))
          .ReadFence();
  const jobs::LaunchSpec& launch = context_->spec.launch;
  const int64_t ranks_min = launch.ranks_min > 0 ? launch.ranks_min : launch.ranks;
  const auto ranks = static_cast<int64_t>(gang.ranks);
  const bool fits = gang.fingerprint == assignment.fingerprint && ranks >= ranks_min &&
                    ranks <= launch.ranks && fence.ok() &&
                    *fence == storage::WriterFence{gang.claim, gang.launch};
  if (!fits) return std::nullopt;
  return EarlierGang{gang.claim, gang.launch, ranks};
}

absl::Status JobFiles::OpenCache(const effect::PrepareStage& prepare, Notes* notes) {
  const NodeId id = prepare.stage;
  Stage& one = stage(id);
  ASSIGN_OR_RETURN(const ShardTasks shards,
                   kind(id) == jobs::StageKind::kTokens
                       ? PlanTokenShards(context_->spec.data, source_digests_, sources_)
                       : PlanLatentShards(*context_->env, one.assignment));
  ASSIGN_OR_RETURN(one.cache, CacheStage::Open(
                                  *context_->env, label(id), one.assignment, shards, prepare.leases,
                                  [&one] { return one.claim->Check(); }, notes));
  return absl::OkStatus();
}

absl::Status JobFiles::PrepareLaunch(NodeId id, uint64_t launch) {
  RETURN_IF_ERROR(stage(id).claim->Check());
  const cluster::StageAssignment& assignment = stage(id).assignment;
  storage::CheckpointStore store(*context_->env, cluster::CheckpointsDir(assignment.work_dir));
  RETURN_IF_ERROR(store.Fence({assignment.claim, launch}));
  return RemoveOutputs(*context_->env, assignment.work_dir);
}

absl::StatusOr<uint64_t> JobFiles::NewestStep(NodeId id) const {
  storage::CheckpointStore store(*context_->env,
                                 cluster::CheckpointsDir(stage(id).assignment.work_dir));
  ASSIGN_OR_RETURN(const std::vector<uint64_t> steps, store.ListCommitted());
  return steps.empty() ? 0 : steps.back();
}

const Artifact* JobFiles::artifact(NodeId id) const {
  const std::optional<Artifact>& artifact = stage(id).artifact;
  return artifact ? &*artifact : nullptr;
}

const Artifact* JobFiles::ArtifactOf(jobs::StageKind wanted) const {
  for (size_t i = 0; i < graph_->size(); ++i) {
    if (kind(NodeId(i)) == wanted) return artifact(NodeId(i));
  }
  return nullptr;
}

}  // namespace halcyon::coordinator
