#include "coordinator/scheduler.h"

#include <algorithm>

#include "base/check.h"

namespace halcyon::coordinator {

bool EndsJob(absl::StatusCode code) {
  return code == absl::StatusCode::kInvalidArgument ||
         code == absl::StatusCode::kFailedPrecondition ||
         code == absl::StatusCode::kResourceExhausted;
}

void Scheduler::SetTasks(const std::vector<std::string>& tasks) {
  tasks_.clear();
  waiting_.clear();
  leases_.clear();
  done_ = 0;
  failure_ = absl::OkStatus();
  for (const std::string& name : tasks) {
    const size_t order = tasks_.size();
    const bool is_new = tasks_.emplace(name, Task{.order = order}).second;
    HALCYON_CHECK(is_new);
    waiting_.emplace(order, name);
  }
}

void Scheduler::Ready(const WorkerId& worker) {
  if (const auto lease = leases_.find(worker); lease != leases_.end()) {
    const std::string task = lease->second;
    CountFailure(task, Unavailable("the worker " + worker.name + " gave the task back"));
    GiveBack(task);
  }
  if (std::find(ready_.begin(), ready_.end(), worker) == ready_.end()) ready_.push_back(worker);
}

void Scheduler::Lost(const WorkerId& worker, bool counts) {
  ready_.erase(std::remove(ready_.begin(), ready_.end(), worker), ready_.end());
  if (const auto lease = leases_.find(worker); lease != leases_.end()) {
    const std::string task = lease->second;
    if (counts) {
      CountFailure(task, Unavailable("the worker " + worker.name + " ended or stopped sending"));
    }
    GiveBack(task);
  }
}

Grant Scheduler::GrantNext(Fence fence) {
  HALCYON_CHECK(CanGrant() && last_fence_ < fence);
  last_fence_ = fence;
  const auto first = waiting_.begin();
  const Grant grant{first->second, ready_.front(), fence};
  waiting_.erase(first);
  ready_.pop_front();
  Task& task = tasks_.at(grant.task);
  task.leased = true;
  task.holder = grant.worker;
  task.fence = fence;
  task.fraction = 0;
  leases_[grant.worker] = grant.task;
  return grant;
}

bool Scheduler::IsCurrent(const std::string& task, Fence fence, const WorkerId& worker) const {
  const auto it = tasks_.find(task);
  return it != tasks_.end() && it->second.leased && it->second.fence == fence &&
         it->second.holder == worker;
}

void Scheduler::Progress(const std::string& task, double fraction) {
  tasks_.at(task).fraction = std::clamp(fraction, 0.0, 1.0);
}

void Scheduler::Done(const std::string& name) {
  Task& task = tasks_.at(name);
  HALCYON_CHECK(task.leased && !task.done);
  leases_.erase(task.holder);
  task.leased = false;
  task.done = true;
  ++done_;
}

void Scheduler::Failed(const std::string& name, const absl::Status& why) {
  HALCYON_CHECK(tasks_.at(name).leased);
  CountFailure(name, why);
  GiveBack(name);
}

double Scheduler::fraction() const {
  if (tasks_.empty()) return 1;
  double sum = 0;
  for (const auto& [name, task] : tasks_) sum += task.done ? 1 : task.fraction;
  return sum / static_cast<double>(tasks_.size());
}

std::optional<std::string> Scheduler::TaskOf(const WorkerId& worker) const {
  const auto it = leases_.find(worker);
  if (it == leases_.end()) return std::nullopt;
  return it->second;
}

void Scheduler::GiveBack(const std::string& name) {
  Task& task = tasks_.at(name);
  leases_.erase(task.holder);
  task.leased = false;
  task.fraction = 0;
  waiting_.emplace(task.order, name);
}

void Scheduler::CountFailure(const std::string& name, const absl::Status& why) {
  Task& task = tasks_.at(name);
  ++task.failures;
  if (!failure_.ok()) return;
  if (EndsJob(why.code())) {
    failure_ = Annotate(why, name);
  } else if (task.failures > failures_max_) {
    failure_ = Internal(name + ": failed " + std::to_string(task.failures) +
                        " times, last: " + MessageOf(why));
  }
}

}  // namespace halcyon::coordinator
