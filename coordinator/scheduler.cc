#include "coordinator/scheduler.h"

#include <algorithm>

#include "base/check.h"

namespace halcyon::coordinator {

bool EndsJob(absl::StatusCode code) {
  return code == absl::StatusCode::kInvalidArgument ||
         code == absl::StatusCode::kFailedPrecondition ||
         code == absl::StatusCode::kResourceExhausted;
}

void Scheduler::Add(jobs::NodeId id, const std::vector<std::string>& tasks) {
  const auto [it, is_new] = stages_.try_emplace(id);
  HALCYON_CHECK(is_new);
  Stage& stage = it->second;
  for (const std::string& name : tasks) {
    stage.waiting.insert(stage.waiting.end(), stage.tasks.size());
    stage.tasks.push_back({name});
  }
  Note(id);
}

void Scheduler::Remove(jobs::NodeId id) {
  for (auto it = leases_.begin(); it != leases_.end();) {
    if (it->second.stage != id) {
      ++it;
      continue;
    }
    if (it->second.holder) held_.erase(*it->second.holder);
    it = leases_.erase(it);
  }
  stages_.erase(id);
  granting_.erase(id);
}

void Scheduler::Pause(jobs::NodeId id) {
  stages_.at(id).paused = true;
  Note(id);
}

void Scheduler::Note(jobs::NodeId id) {
  const Stage& stage = stages_.at(id);
  if (stage.waiting.empty() || stage.paused) {
    granting_.erase(id);
  } else {
    granting_.insert(id);
  }
}

void Scheduler::Ready(const WorkerId& worker) {
  if (const auto held = held_.find(worker); held != held_.end()) {
    const auto lease = leases_.find(held->second);
    CountFailure(lease->second, Unavailable("the worker " + worker.name + " gave the task back"));
    GiveBack(lease);
  }
  if (std::find(ready_.begin(), ready_.end(), worker) == ready_.end()) ready_.push_back(worker);
}

void Scheduler::Lost(const WorkerId& worker, bool counts) {
  std::erase(ready_, worker);
  if (const auto held = held_.find(worker); held != held_.end()) {
    const auto lease = leases_.find(held->second);
    if (counts) {
      CountFailure(lease->second,
                   Unavailable("the worker " + worker.name + " ended or stopped sending"));
    }
    GiveBack(lease);
  }
}

Grant Scheduler::GrantNext(Fence fence) {
  HALCYON_CHECK(CanGrant() && !leases_.contains(fence));
  const jobs::NodeId id = *granting_.begin();
  Stage& stage = stages_.at(id);
  const size_t task = *stage.waiting.begin();
  const Grant grant{id, task, stage.tasks[task].name, ready_.front(), fence};
  stage.waiting.erase(stage.waiting.begin());
  ready_.pop_front();
  leases_.emplace(fence, Lease{.stage = id, .task = task, .holder = grant.worker});
  held_[grant.worker] = fence;
  Note(id);
  return grant;
}

std::optional<Scheduler::LeasedTask> Scheduler::Find(const std::string& task, Fence fence,
                                                     const WorkerId& worker) const {
  const auto it = leases_.find(fence);
  if (it == leases_.end() || it->second.holder != worker || NameOf(it->second) != task) {
    return std::nullopt;
  }
  return LeasedTask{it->second.stage, it->second.task};
}

void Scheduler::Progress(Fence fence, double fraction) {
  leases_.at(fence).fraction = std::clamp(fraction, 0.0, 1.0);
}

void Scheduler::Take(Fence fence) {
  Lease& lease = leases_.at(fence);
  HALCYON_CHECK(lease.holder.has_value());
  held_.erase(*lease.holder);
  lease.holder.reset();
  lease.fraction = 1;
  ++stages_.at(lease.stage).taken;
}

void Scheduler::Failed(Fence fence, const absl::Status& why) {
  const auto lease = leases_.find(fence);
  if (lease == leases_.end()) return;
  CountFailure(lease->second, why);
  GiveBack(lease);
}

void Scheduler::Done(Fence fence) {
  const auto lease = leases_.find(fence);
  if (lease == leases_.end()) return;
  HALCYON_CHECK(!lease->second.holder.has_value());
  Stage& stage = stages_.at(lease->second.stage);
  --stage.taken;
  ++stage.done;
  leases_.erase(lease);
}

Scheduler::Counts Scheduler::CountsOf(jobs::NodeId id) const {
  const Stage& stage = stages_.at(id);
  Counts counts{.tasks = stage.tasks.size(), .done = stage.done, .taken = stage.taken};
  if (counts.tasks == 0) return counts;
  double sum = static_cast<double>(stage.done);
  for (const auto& [fence, lease] : leases_) {
    if (lease.stage == id) sum += lease.fraction;
  }
  counts.fraction = sum / static_cast<double>(counts.tasks);
  return counts;
}

std::optional<std::string> Scheduler::TaskOf(const WorkerId& worker) const {
  const auto held = held_.find(worker);
  if (held == held_.end()) return std::nullopt;
  return NameOf(leases_.at(held->second));
}

void Scheduler::GiveBack(std::map<Fence, Lease>::iterator lease) {
  const jobs::NodeId id = lease->second.stage;
  Stage& stage = stages_.at(id);
  if (lease->second.holder) {
    held_.erase(*lease->second.holder);
  } else {
    --stage.taken;
  }
  stage.waiting.insert(lease->second.task);
  leases_.erase(lease);
  Note(id);
}

void Scheduler::CountFailure(const Lease& lease, const absl::Status& why) {
  Stage& stage = stages_.at(lease.stage);
  Task& task = stage.tasks.at(lease.task);
  ++task.failures;
  if (!stage.failure.ok()) return;
  if (EndsJob(why.code())) {
    stage.failure = Annotate(why, task.name);
  } else if (task.failures > failures_max_) {
    stage.failure = Internal(task.name + ": failed " + std::to_string(task.failures) +
                             " times, last: " + MessageOf(why));
  }
}

}  // namespace halcyon::coordinator
