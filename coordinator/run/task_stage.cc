#include "coordinator/run/task_stage.h"

#include <functional>
#include <utility>

namespace halcyon::coordinator {
namespace {

// New warnings of one stage that a person is shown.
constexpr int kWarningsMax = 5;

}  // namespace

absl::Status Stopped(const std::string& kept) {
  return Aborted("stopped; " + kept + "; run the same command again to go on");
}

TaskStage::TaskStage(NodeId id, std::string label, PreparedStage prepared, Scheduler* scheduler,
                     WarningsSeen* warnings_seen, Effects* effects)
    : id_(id),
      label_(std::move(label)),
      prepared_(std::move(prepared)),
      scheduler_(scheduler),
      warnings_seen_(warnings_seen) {
  scheduler_->Add(id_, prepared_.tasks);
  Show(effects, /*is_start=*/true);
}

void TaskStage::OnGrant(const Grant& grant, Effects* effects) {
  effects->push_back(effect::LogInfo{"lease " + grant.name + " to " + grant.worker.name +
                                         ", fence " + std::to_string(grant.fence.value()),
                                     id_});
  effects->push_back(effect::Send{
      grant.worker, cluster::Lease{grant.name, grant.fence.value(), prepared_.assignment,
                                   prepared_.tasks.parameters(grant.task)}});
  Show(effects);
}

void TaskStage::OnAdopted(const Grant& lease, Effects* effects) {
  effects->push_back(effect::LogInfo{"lease " + lease.name + " stays with " + lease.worker.name +
                                         ", fence " + std::to_string(lease.fence.value()),
                                     id_});
  Show(effects);
}

void TaskStage::OnProgress(const cluster::TaskProgress& progress, Effects* effects) {
  scheduler_->Progress(Fence(progress.fence), progress.fraction);
  Show(effects);
}

void TaskStage::OnDone(const cluster::TaskDone& done, size_t task, Effects* effects) {
  const Fence fence(done.fence);
  scheduler_->Take(fence);
  Commit& commit = commits_[fence];
  commit.task = done.task;
  if (done.result.is_object()) commit.warnings = done.result.value("warnings", nlohmann::json());
  effects->push_back(effect::Ingest{id_, task, fence, done.result});
  Show(effects);
}

void TaskStage::OnFailed(const cluster::TaskFailed& failed, Effects* effects) {
  Fail(failed.task, Fence(failed.fence),
       MakeStatus(static_cast<absl::StatusCode>(failed.code), failed.message), effects);
}

void TaskStage::On(const event::Ingested& ingested, Effects* effects) {
  const auto commit = commits_.extract(ingested.fence);
  if (commit.empty()) return;
  if (!ingested.status.ok()) {
    return Fail(commit.mapped().task, ingested.fence, ingested.status, effects);
  }
  ShowWarnings(commit.mapped().warnings, effects);
  scheduler_->Done(ingested.fence);
  Show(effects);
}

void TaskStage::Stop() {
  is_stopping_ = true;
  scheduler_->Pause(id_);
}

std::optional<TaskStage::Ending> TaskStage::End() const {
  if (const auto& failure = scheduler_->FailureOf(id_)) return Ending{failure->why, failure->task};
  if (scheduler_->CountsOf(id_).all_done()) return Ending{absl::OkStatus()};
  if (is_stopping_ && commits_.empty()) return Ending{Stopped(WhatIsKept())};
  return std::nullopt;
}

bool TaskStage::NeedsAgents() const {
  const Scheduler::Counts counts = scheduler_->CountsOf(id_);
  return !is_stopping_ && counts.done + counts.taken < counts.tasks;
}

void TaskStage::Fail(const std::string& task, Fence fence, const absl::Status& why,
                     Effects* effects) {
  effects->push_back(effect::LogWarning{task + " failed: " + MessageOf(why), id_});
  effects->push_back(effect::Tell{task + " failed: " + MessageOf(why), id_, /*is_logged=*/true});
  scheduler_->Failed(fence, why);
  Show(effects);
}

void TaskStage::ShowWarnings(const nlohmann::json& warnings, Effects* effects) {
  if (!warnings.is_array()) return;
  for (const nlohmann::json& warning : warnings) {
    if (!warning.is_string()) continue;
    const auto text = warning.get<std::string>();
    effects->push_back(effect::LogWarning{text, id_});
    if (!warnings_seen_->insert(std::hash<std::string>()(text)).second) continue;
    if (++warnings_ <= kWarningsMax)
      effects->push_back(effect::Tell{"warning: " + text, id_, /*is_logged=*/true});
    if (warnings_ == kWarningsMax + 1) {
      effects->push_back(effect::Tell{"warning: and more of this kind, see coordinator.log", id_});
    }
  }
}

void TaskStage::Show(Effects* effects, bool is_start) const {
  const Scheduler::Counts counts = scheduler_->CountsOf(id_);
  const auto before = static_cast<double>(prepared_.tasks_done);
  const auto now = static_cast<double>(counts.tasks);
  effect::ShowTasks show{.stage = id_,
                         .tasks = prepared_.tasks_done + counts.tasks,
                         .done = prepared_.tasks_done + counts.done,
                         .is_start = is_start};
  if (before + now > 0) show.fraction = (before + counts.fraction * now) / (before + now);
  effects->push_back(show);
}

std::string TaskStage::WhatIsKept() const {
  const Scheduler::Counts counts = scheduler_->CountsOf(id_);
  const size_t tasks = prepared_.tasks_done + counts.tasks;
  if (tasks == 1) return label_ + " begins again";
  return std::to_string(prepared_.tasks_done + counts.done) + " of " + std::to_string(tasks) +
         " shards are kept";
}

}  // namespace halcyon::coordinator
