#include "coordinator/run/scheduler.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace halcyon::coordinator {

bool EndsJob(absl::StatusCode code) {
  return code == absl::StatusCode::kInvalidArgument ||
         code == absl::StatusCode::kFailedPrecondition ||
         code == absl::StatusCode::kResourceExhausted;
}

void Scheduler::Add(jobs::NodeId id, StageTasks tasks) {
  const auto [it, is_new] = stages_.try_emplace(id);
  HALCYON_CHECK(is_new);
  it->second.tasks = std::move(tasks);
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
  if (!stage.has_waiting() || stage.paused) {
    granting_.erase(id);
  } else {
    granting_.insert(id);
  }
}

bool Scheduler::Adopt(const Grant& lease) {
  Stage& stage = stages_.at(lease.stage);
  HALCYON_CHECK(lease.task < stage.tasks.size());
  const bool waits = lease.task >= stage.untouched && !stage.adopted.contains(lease.task);
  if (!waits || IsInUse(lease.fence) || held_.contains(lease.worker) ||
      ready_places_.contains(lease.worker)) {
    return false;
  }
  stage.adopted.insert(lease.task);
  stage.SkipAdopted();
  leases_.emplace(lease.fence,
                  Lease{.stage = lease.stage, .task = lease.task, .holder = lease.worker});
  held_[lease.worker] = granted_[lease.worker] = lease.fence;
  Note(lease.stage);
  return true;
}

void Scheduler::Ready(const WorkerId& worker, Fence served) {
  if (const auto last = granted_.find(worker); last != granted_.end() && served < last->second) {
    return;
  }
  if (const auto held = held_.find(worker); held != held_.end()) {
    const auto lease = leases_.find(held->second);
    CountFailure(lease->second, Unavailable("the worker " + worker.name + " gave the task back"));
    GiveBack(lease);
  }
  if (ready_places_.try_emplace(worker, ready_next_).second) ready_.emplace(ready_next_++, worker);
}

void Scheduler::Lost(const WorkerId& worker, bool counts) {
  if (const auto place = ready_places_.extract(worker)) ready_.erase(place.mapped());
  granted_.erase(worker);
  if (const auto held = held_.find(worker); held != held_.end()) {
    const auto lease = leases_.find(held->second);
    if (counts) {
      CountFailure(lease->second,
                   Unavailable("the worker " + worker.name + " ended or stopped sending"));
    }
    GiveBack(lease);
  }
}

size_t Scheduler::Stage::TakeWaiting() {
  if (!came_back.empty()) return came_back.extract(came_back.begin()).value();
  const size_t task = untouched++;
  SkipAdopted();
  return task;
}

void Scheduler::Stage::SkipAdopted() {
  while (adopted.erase(untouched) > 0) ++untouched;
}

Grant Scheduler::GrantNext(Fence fence) {
  HALCYON_CHECK(CanGrant() && !IsInUse(fence));
  const jobs::NodeId id = *granting_.begin();
  Stage& stage = stages_.at(id);
  const size_t task = stage.TakeWaiting();
  const Grant grant{id, task, std::string(stage.tasks.name(task)), ready_.begin()->second, fence};
  ready_places_.erase(grant.worker);
  ready_.erase(ready_.begin());
  leases_.emplace(fence, Lease{.stage = id, .task = task, .holder = grant.worker});
  held_[grant.worker] = granted_[grant.worker] = fence;
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
  SetParts(&leases_.at(fence),
           std::llround(std::clamp(fraction, 0.0, 1.0) * static_cast<double>(kParts)));
}

void Scheduler::SetParts(Lease* lease, int64_t parts) {
  stages_.at(lease->stage).parts += parts - lease->parts;
  lease->parts = parts;
}

void Scheduler::Take(Fence fence) {
  Lease& lease = leases_.at(fence);
  HALCYON_CHECK(lease.holder.has_value());
  held_.erase(*lease.holder);
  lease.holder.reset();
  SetParts(&lease, kParts);
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
  SetParts(&lease->second, 0);
  leases_.erase(lease);
}

Scheduler::Counts Scheduler::CountsOf(jobs::NodeId id) const {
  const Stage& stage = stages_.at(id);
  Counts counts{.tasks = stage.tasks.size(), .done = stage.done, .taken = stage.taken};
  if (counts.tasks == 0) return counts;
  const double in_progress = static_cast<double>(stage.parts) / static_cast<double>(kParts);
  counts.fraction =
      (static_cast<double>(stage.done) + in_progress) / static_cast<double>(counts.tasks);
  return counts;
}

std::optional<std::string> Scheduler::TaskOf(const WorkerId& worker) const {
  const auto held = held_.find(worker);
  if (held == held_.end()) return std::nullopt;
  return std::string(NameOf(leases_.at(held->second)));
}

void Scheduler::GiveBack(std::map<Fence, Lease>::iterator lease) {
  const jobs::NodeId id = lease->second.stage;
  Stage& stage = stages_.at(id);
  if (lease->second.holder) {
    held_.erase(*lease->second.holder);
  } else {
    --stage.taken;
  }
  stage.came_back.insert(lease->second.task);
  SetParts(&lease->second, 0);
  leases_.erase(lease);
  Note(id);
}

void Scheduler::CountFailure(const Lease& lease, const absl::Status& why) {
  Stage& stage = stages_.at(lease.stage);
  const int64_t failures = ++stage.failures[lease.task];
  if (stage.failure) return;
  const std::string name(NameOf(lease));
  if (EndsJob(why.code())) {
    stage.failure = {name, why};
  } else if (failures > failures_max_) {
    stage.failure = {
        name, Internal("failed " + std::to_string(failures) + " times, last: " + MessageOf(why))};
  }
}

}  // namespace halcyon::coordinator
