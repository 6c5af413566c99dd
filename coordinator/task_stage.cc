#include "coordinator/task_stage.h"

#include <spdlog/spdlog.h>

#include <map>
#include <optional>

namespace halcyon::coordinator {
namespace {

constexpr uint64_t kFencesReserved = 64;
constexpr int64_t kTaskPollMs = 50;
// Warnings of one stage that a person is shown.
constexpr int kWarningsMax = 5;

class TaskRun {
 public:
  TaskRun(const StageTools& tools, const cluster::StageAssignment& assignment,
          const std::vector<StageTask>& tasks, size_t done_before, const TakeResult& take_result)
      : tools_(tools),
        assignment_(assignment),
        done_before_(done_before),
        take_result_(take_result),
        stage_(&tools.status->Stage(*jobs::StageFromName(assignment.stage))) {
    std::vector<std::string> names;
    for (const StageTask& task : tasks) {
      names.push_back(task.name);
      parameters_[task.name] = task.parameters;
    }
    tools_.scheduler->SetTasks(names);
    ShowProgress();
    stage_->start_fraction = stage_->fraction;
  }

  absl::Status Run() {
    Scheduler& scheduler = *tools_.scheduler;
    while (!scheduler.all_done()) {
      if (tools_.context->stop_requests() > 0) return Stopped(WhatIsKept());
      RETURN_IF_ERROR(tools_.agents->Maintain());
      while (scheduler.CanGrant()) RETURN_IF_ERROR(LeaseNext());
      ASSIGN_OR_RETURN(const std::optional<cluster::Message> message,
                       tools_.channel->Next(kTaskPollMs));
      if (message) RETURN_IF_ERROR(OnMessage(*message));
      RETURN_IF_ERROR(scheduler.failure());
      ShowProgress();
    }
    return absl::OkStatus();
  }

 private:
  std::string WhatIsKept() const {
    const size_t tasks = done_before_ + tools_.scheduler->tasks();
    if (tasks == 1) return assignment_.stage + " begins again";
    return std::to_string(done_before_ + tools_.scheduler->done()) + " of " +
           std::to_string(tasks) + " shards are kept";
  }

  absl::Status LeaseNext() {
    ASSIGN_OR_RETURN(const Fence fence, tools_.fences->Next());
    const Grant grant = tools_.scheduler->GrantNext(fence);
    spdlog::info("lease {} to {}, fence {}", grant.task, grant.worker.name, fence.value());
    return tools_.channel->Send(grant.worker, cluster::Lease{grant.task, fence.value(), assignment_,
                                                             parameters_.at(grant.task)});
  }

  absl::Status OnMessage(const cluster::Message& message) {
    ASSIGN_OR_RETURN(const bool handled, tools_.agents->OnMessage(message));
    if (handled) return absl::OkStatus();
    if (const auto* progress = std::get_if<cluster::TaskProgress>(&message.body)) {
      if (IsCurrent(progress->task, progress->fence, message.worker)) {
        tools_.scheduler->Progress(progress->task, progress->fraction);
      }
    } else if (const auto* done = std::get_if<cluster::TaskDone>(&message.body)) {
      OnDone(*done, message.worker);
    } else if (const auto* failed = std::get_if<cluster::TaskFailed>(&message.body)) {
      if (IsCurrent(failed->task, failed->fence, message.worker)) {
        Fail(failed->task,
             MakeStatus(static_cast<absl::StatusCode>(failed->code), failed->message));
      } else {
        LogRefused(message.worker, failed->task, failed->fence);
      }
    } else {
      spdlog::warn("dropped a {} of {}: not expected in a stage of tasks",
                   cluster::TypeName(message.body), message.worker.name);
    }
    return absl::OkStatus();
  }

  void OnDone(const cluster::TaskDone& done, const WorkerId& worker) {
    if (!IsCurrent(done.task, done.fence, worker)) return LogRefused(worker, done.task, done.fence);
    absl::Status taken;
    try {
      taken = take_result_(done.task, Fence(done.fence), done.result);
    } catch (const nlohmann::json::exception& error) {
      taken = Internal(std::string("the result lacks a member: ") + error.what());
    }
    if (!taken.ok()) return Fail(done.task, taken);
    ShowWarnings(done.result);
    tools_.scheduler->Done(done.task);
    tools_.agents->ResetFailures(worker);
  }

  void Fail(const std::string& task, const absl::Status& why) {
    spdlog::warn("{} failed: {}", task, MessageOf(why));
    tools_.context->observer->Notify(task + " failed: " + MessageOf(why));
    tools_.scheduler->Failed(task, why);
  }

  // Shows the warnings of a task about its part of the data.
  void ShowWarnings(const nlohmann::json& result) {
    const auto warnings = result.find("warnings");
    if (warnings == result.end() || !warnings->is_array()) return;
    for (const nlohmann::json& warning : *warnings) {
      if (!warning.is_string()) continue;
      const auto text = warning.get<std::string>();
      spdlog::warn("{}", text);
      if (++warnings_ <= kWarningsMax) tools_.context->observer->Notify("warning: " + text);
      if (warnings_ == kWarningsMax + 1) {
        tools_.context->observer->Notify("warning: and more of this kind, see coordinator.log");
      }
    }
  }

  bool IsCurrent(const std::string& task, uint64_t fence, const WorkerId& worker) const {
    return tools_.scheduler->IsCurrent(task, Fence(fence), worker);
  }

  static void LogRefused(const WorkerId& worker, const std::string& task, uint64_t fence) {
    spdlog::warn("refused a message of {} about {}: fence {} is not the task's present one",
                 worker.name, task, fence);
  }

  void ShowProgress() {
    const Scheduler& scheduler = *tools_.scheduler;
    const double all = static_cast<double>(done_before_ + scheduler.tasks());
    stage_->tasks = done_before_ + scheduler.tasks();
    stage_->tasks_done = done_before_ + scheduler.done();
    if (all > 0) {
      stage_->fraction = (static_cast<double>(done_before_) +
                          scheduler.fraction() * static_cast<double>(scheduler.tasks())) /
                         all;
    }
    tools_.status->Publish();
  }

  const StageTools& tools_;
  const cluster::StageAssignment& assignment_;
  std::map<std::string, nlohmann::json> parameters_;
  size_t done_before_;
  const TakeResult& take_result_;
  StageStatus* stage_;
  int warnings_ = 0;
};

}  // namespace

absl::StatusOr<Fence> FenceSource::Next() {
  if (next_ == end_) {
    ASSIGN_OR_RETURN(next_, journal_->ReserveFences(kFencesReserved));
    end_ = next_ + kFencesReserved;
  }
  return Fence(next_++);
}

absl::Status RunTasks(const StageTools& tools, const cluster::StageAssignment& assignment,
                      const std::vector<StageTask>& tasks, size_t done_before,
                      const TakeResult& take_result) {
  return TaskRun(tools, assignment, tasks, done_before, take_result).Run();
}

}  // namespace halcyon::coordinator
