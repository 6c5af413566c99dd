#include "coordinator/coordinator.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>

#include "base/fault_point.h"
#include "cluster/outputs.h"
#include "coordinator/cache_stage.h"
#include "coordinator/early_checks.h"
#include "coordinator/explain.h"
#include "coordinator/gang_stage.h"
#include "coordinator/quality.h"
#include "coordinator/recovery.h"
#include "coordinator/stage_plan.h"
#include "coordinator/start_over.h"
#include "coordinator/work/prepare_work.h"
#include "coordinator/work/work_folders.h"

namespace halcyon::coordinator {
namespace {

// The state that a job ends in with this status.
jobs::JobState EndState(const absl::Status& status) {
  if (status.ok()) return jobs::JobState::kDone;
  return absl::IsAborted(status) ? jobs::JobState::kPreempted : jobs::JobState::kFailed;
}

// Whether work/ has an unfinished folder of such a stage, of whatever job. Not when it cannot be
// listed.
bool HasUnfinished(const absl::StatusOr<std::vector<WorkFolder>>& work, jobs::StageKind kind) {
  return work.ok() && std::ranges::any_of(*work, [kind](const WorkFolder& folder) {
           return folder.kind == kind && !folder.finished;
         });
}

}  // namespace

std::map<jobs::StageKind, std::string> InputDigests(
    jobs::StageKind kind, const jobs::JobSpec& spec,
    const std::map<jobs::StageKind, Artifact>& artifacts) {
  std::map<jobs::StageKind, std::string> digests;
  for (const jobs::StageKind input : jobs::InputsOf(kind, spec)) {
    digests[input] = artifacts.at(input).record.content_digest;
  }
  return digests;
}

Coordinator::Coordinator(const JobContext* context)
    : context_(context),
      channel_(context->transport, context->clock, context->job, context->incarnation),
      scheduler_(context->spec.launch.restarts_max),
      registry_(context->env, ProcessesPath(context->home, context->job.value())),
      agents_(context, &channel_, &scheduler_, &registry_, AgentCount(context->spec)),
      fences_(context->journal),
      status_(context),
      store_(*context->env, *context->journal, context->home),
      tools_{context,  &channel_, &scheduler_,      &agents_,
             &fences_, &status_,  &source_digests_, &tokenizer_file_digest_} {}

absl::StatusOr<std::map<jobs::StageKind, Artifact>> Coordinator::Run() {
  RETURN_IF_ERROR(status_.MoveJob(jobs::JobState::kRunning, absl::OkStatus()));
  const absl::Status status = RunStages();
  agents_.Stop();
  const absl::Status recorded = status_.MoveJob(EndState(status), status);
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(recorded);
  return artifacts_;
}

absl::Status Coordinator::RunStages() {
  RETURN_IF_ERROR(store_.CheckPlaces(jobs::StagesOf(context_->spec)));
  RETURN_IF_ERROR(DigestSources());
  RETURN_IF_ERROR(CheckMachine());
  for (const jobs::StageKind kind : jobs::StagesOf(context_->spec)) {
    if (context_->stop_requests() > 0) {
      return Stopped(std::string(jobs::StageName(kind)) + " has not begun");
    }
    RETURN_IF_ERROR(RunStage(kind), std::string(jobs::StageName(kind)));
  }
  return absl::OkStatus();
}

absl::Status Coordinator::DigestSources() {
  for (const std::string& source : context_->spec.data.sources) {
    ASSIGN_OR_RETURN(std::string digest, storage::SourceDigest(*context_->journal, source));
    source_digests_.push_back(std::move(digest));
  }
  const std::string& tokenizer = context_->spec.tokenizer.path;
  if (tokenizer.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(tokenizer_file_digest_, storage::SourceDigest(*context_->journal, tokenizer));
  return absl::OkStatus();
}

void Coordinator::RereadSources() {
  std::vector<std::string> paths = context_->spec.data.sources;
  paths.push_back(context_->spec.tokenizer.path);
  for (const std::string& path : paths) {
    if (path.empty()) continue;
    const absl::Status read = storage::ReadSourceDigest(*context_->journal, path).status();
    if (!read.ok()) spdlog::warn("{}", MessageOf(read));
  }
}

absl::Status Coordinator::CheckMachine() {
  const jobs::JobSpec& spec = context_->spec;
  ASSIGN_OR_RETURN(const int64_t vocab_size, VocabularyOf(spec));
  ASSIGN_OR_RETURN(const std::vector<PlannedStage> plan,
                   PlanStages(spec, context_->home, *context_->journal, store_));
  // A vocabulary that is still to be learned may come out smaller than asked for.
  const bool is_exact = !spec.tokenizer.path.empty();
  const auto work = ScanWork(*context_->env, context_->home);
  std::vector<jobs::TrainingEstimate> made;
  uint64_t disk_bytes = 0;
  for (const jobs::TrainingEstimate& estimate :
       jobs::EstimateTraining(spec, is_exact ? vocab_size : jobs::VocabularyMin(spec))) {
    const auto planned = std::find_if(plan.begin(), plan.end(), [&](const PlannedStage& stage) {
      return stage.kind == estimate.kind;
    });
    if (planned->reused) continue;
    made.push_back(estimate);
    // Unfinished work takes part of this space already.
    if (!HasUnfinished(work, estimate.kind)) disk_bytes += estimate.disk_bytes;
  }
  if (context_->memory_limit) RETURN_IF_ERROR(CheckMemory(spec, made, *context_->memory_limit));
  return CheckRoomFor(disk_bytes, "writing the checkpoints and weights");
}

absl::Status Coordinator::CheckRoomFor(uint64_t bytes, const std::string& purpose) const {
  const std::string& root = context_->home.root;
  ASSIGN_OR_RETURN(const DiskRoom room, context_->free_room(root));
  return CheckRoom(room, {bytes, 0}, root, purpose);
}

absl::Status Coordinator::CheckTokens() {
  if (tokens_checked_) return absl::OkStatus();
  tokens_checked_ = true;
  const jobs::JobSpec& spec = context_->spec;
  const std::string dir =
      storage::GenerationPath(artifacts_.at(jobs::StageKind::kTokens).record.path);
  ASSIGN_OR_RETURN(const jobs::TextCounts counts, CountText(spec, dir));
  RETURN_IF_ERROR(jobs::CheckText(spec, counts));
  if (const std::string why = jobs::WhyNoScore(spec, counts); !why.empty()) {
    context_->observer->Notify("warning: there will be no score: " + why);
  }
  const std::vector<jobs::StageKind> stages = jobs::StagesOf(spec);
  const bool has_latents =
      std::find(stages.begin(), stages.end(), jobs::StageKind::kLatents) != stages.end();
  // Latents made earlier need no space; unfinished ones in work/ take part of it already.
  if (!has_latents || artifacts_.contains(jobs::StageKind::kAutoencoder) ||
      HasUnfinished(ScanWork(*context_->env, context_->home), jobs::StageKind::kLatents)) {
    return absl::OkStatus();
  }
  const uint64_t chunks = counts.heldout_chunks + counts.train_chunks;
  return CheckRoomFor(jobs::LatentBytes(spec, chunks), "writing the latents");
}

absl::Status Coordinator::RunStage(jobs::StageKind kind) {
  const jobs::StageIdentity identity =
      jobs::IdentityOf(kind, context_->spec, source_digests_,
                       InputDigests(kind, context_->spec, artifacts_), tokenizer_file_digest_);
  const std::string fingerprint = identity.Fingerprint();
  status_.Stage(kind).fingerprint = fingerprint;
  ASSIGN_OR_RETURN(std::optional<Artifact> found, FindMade(kind, fingerprint));
  if (found) {
    artifacts_[kind] = *std::move(found);
    return status_.MoveStage(kind, jobs::StageState::kReused, "reused");
  }
  RETURN_IF_ERROR(CheckLauncher(kind));
  if (artifacts_.contains(jobs::StageKind::kTokens)) RETURN_IF_ERROR(CheckTokens());
  ASSIGN_OR_RETURN(const auto earlier, context_->journal->ListArtifacts());
  const std::string why = WhyMade(identity, earlier);
  RETURN_IF_ERROR(status_.MoveStage(kind, jobs::StageState::kRunning, why));
  context_->observer->Notify(std::string(jobs::StageName(kind)) + ": made, " + why);
  auto made = Make(identity, why);
  if (!made.ok()) {
    if (absl::IsFailedPrecondition(made.status()) && jobs::ReadsSources(kind)) RereadSources();
    // An interrupted stage is no failed one: it goes on from here.
    const jobs::StageState state =
        absl::IsAborted(made.status()) ? jobs::StageState::kInterrupted : jobs::StageState::kFailed;
    RETURN_IF_ERROR(status_.MoveStage(kind, state, MessageOf(made.status())));
    return made.status();
  }
  artifacts_[kind] = *std::move(made);
  const std::string warning = QualityWarning(kind, artifacts_[kind].facts);
  if (!warning.empty()) context_->observer->Notify("warning: " + warning);
  return status_.MoveStage(kind, jobs::StageState::kDone, why);
}

absl::StatusOr<std::optional<Artifact>> Coordinator::FindMade(jobs::StageKind kind,
                                                              const std::string& fingerprint) {
  auto found = context_->remake_damaged ? store_.FindVerified(kind, fingerprint)
                                        : store_.Find(kind, fingerprint);
  const absl::Status& status = found.status();
  if (!context_->remake_damaged || !absl::IsDataLoss(status)) return found;
  ASSIGN_OR_RETURN(const std::string aside, store_.SetAside(kind, fingerprint));
  context_->observer->Notify(std::string(jobs::StageName(kind)) + ": damaged, now " + aside + ": " +
                             MessageOf(status));
  return std::nullopt;
}

absl::Status Coordinator::CheckLauncher(jobs::StageKind first_made) {
  if (launcher_checked_) return absl::OkStatus();
  launcher_checked_ = true;
  bool reached = false;
  for (const jobs::StageKind kind : jobs::StagesOf(context_->spec)) {
    reached = reached || kind == first_made;
    if (reached && jobs::ShapeOf(kind) == jobs::StageShape::kGang) {
      return context_->gang_launcher->Check(LauncherScratchDir(*context_));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Artifact> Coordinator::Make(const jobs::StageIdentity& identity,
                                           const std::string& why) {
  spdlog::info("{}: made, {}", jobs::StageName(identity.kind), why);
  const cluster::StageAssignment assignment = Assign(identity);
  if (context_->from_scratch) {
    RETURN_IF_ERROR(StartOver(*context_->env, assignment.work_dir, *context_->observer));
  }
  RETURN_IF_ERROR(PrepareWork(*context_, identity, assignment));
  ASSIGN_OR_RETURN(StageOutcome outcome, MakeOutcome(assignment, identity));
  Artifact artifact;
  artifact.record.kind = identity.kind;
  artifact.record.fingerprint = assignment.fingerprint;
  artifact.record.content_digest = outcome.content_digest;
  artifact.record.fields = identity.fields;
  artifact.record.job_id = context_->job.value();
  artifact.record.created_ms = context_->clock->WallMs();
  artifact.record.bytes = outcome.bytes;
  artifact.facts = std::move(outcome.facts);
  FaultPoint("coordinator install " + assignment.stage);
  ASSIGN_OR_RETURN(artifact, store_.Install(artifact, outcome.made_dir));
  // A gang's folder holds its checkpoints and metrics, which a person may want.
  if (jobs::ShapeOf(identity.kind) != jobs::StageShape::kGang) {
    RETURN_IF_ERROR(context_->env->RemoveTree(assignment.work_dir));
  }
  return artifact;
}

cluster::StageAssignment Coordinator::Assign(const jobs::StageIdentity& identity) {
  cluster::StageAssignment assignment;
  assignment.stage = std::string(jobs::StageName(identity.kind));
  assignment.fingerprint = identity.Fingerprint();
  assignment.spec_path = context_->home.JobSpec(context_->job.value());
  assignment.work_dir = context_->home.Work(assignment.stage, assignment.fingerprint);
  for (const auto& [kind, artifact] : artifacts_) {
    const std::string stage(jobs::StageName(kind));
    assignment.input_paths[stage] = artifact.record.path;
    assignment.input_digests[stage] = artifact.record.content_digest;
  }
  assignment.incarnation = context_->incarnation.value();
  return assignment;
}

absl::StatusOr<StageOutcome> Coordinator::MakeOutcome(const cluster::StageAssignment& assignment,
                                                      const jobs::StageIdentity& identity) {
  switch (jobs::ShapeOf(identity.kind)) {
    case jobs::StageShape::kSingleTask:
      return RunSingleTask(assignment);
    case jobs::StageShape::kShardTasks:
      return RunCacheStage(
          tools_, assignment,
          context_->home.Artifact(assignment.stage, assignment.fingerprint) + ".tmp");
    case jobs::StageShape::kGang:
      return RunGangStage(tools_, &registry_, assignment);
  }
  return Internal("a stage of no known shape");
}

absl::StatusOr<StageOutcome> Coordinator::RunSingleTask(
    const cluster::StageAssignment& assignment) {
  StageOutcome outcome;
  const std::vector<StageTask> tasks = {
      {assignment.stage,
       {{"source_digests", source_digests_}, {"tokenizer_file_digest", tokenizer_file_digest_}}}};
  RETURN_IF_ERROR(RunTasks(tools_, assignment, tasks, /*done_before=*/0,
                           [&](const std::string&, Fence fence, const nlohmann::json& result) {
                             auto taken = OutcomeFromResult(
                                 result, cluster::TaskOutputDir(assignment, fence.value()));
                             if (taken.ok()) outcome = *std::move(taken);
                             return taken.status();
                           }));
  return outcome;
}

}  // namespace halcyon::coordinator
