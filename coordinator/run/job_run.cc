#include "coordinator/run/job_run.h"

#include <algorithm>
#include <utility>

#include "coordinator/run/task_fence.h"

namespace halcyon::coordinator {
namespace {

// The state that a job ends in with this status, which is OK when all that was wanted is made.
jobs::JobState EndStateOf(const absl::Status& status, bool is_whole) {
  if (status.ok()) return is_whole ? jobs::JobState::kDone : jobs::JobState::kPartial;
  if (absl::IsCancelled(status)) return jobs::JobState::kCancelled;
  return absl::IsAborted(status) ? jobs::JobState::kPreempted : jobs::JobState::kFailed;
}

}  // namespace

JobRun::JobRun(jobs::StageGraph graph, const RunLimits& limits, EarlierWorkers earlier)
    : graph_(std::move(graph)),
      limits_(limits),
      scheduler_(limits.restarts_max),
      agents_(limits.agents, limits.restarts_max, limits.hang, earlier.agents,
              earlier.agent_starts),
      stages_(graph_.size()),
      earlier_(std::move(earlier.launches)) {
  for (size_t i = 0; i < graph_.size(); ++i) ids_.push_back(NodeId(i));
  if (limits_.until) WantUntil(*limits_.until);
}

void JobRun::WantUntil(jobs::StageKind last) {
  for (const NodeId id : ids_) stage(id).is_wanted = graph_.node(id).kind == last;
  for (const NodeId id : ids_) {
    if (graph_.node(id).kind != last) continue;
    for (const NodeId input : graph_.AncestorsOf(id)) stage(input).is_wanted = true;
  }
}

Effects JobRun::Start() {
  return {effect::MoveJob{jobs::JobState::kRunning, absl::OkStatus()}, effect::CheckJob{}};
}

Effects JobRun::On(const Event& event, int64_t now_ms) {
  now_ms_ = now_ms;
  std::visit([this](const auto& one) { Handle(one); }, event);
  if (end_) return std::exchange(effects_, {});
  PrepareStages();
  MaintainAgents();
  EndStages();
  GrantTasks();
  LookAgain();
  LeaveWhenIdle();
  return std::exchange(effects_, {});
}

// --- after each event ---

void JobRun::MaintainAgents() {
  const auto needing = std::find_if(ids_.begin(), ids_.end(), [this](NodeId id) {
    return stage(id).tasks && stage(id).tasks->NeedsAgents();
  });
  if (needing == ids_.end()) return;
  const absl::Status status = agents_.Maintain(now_ms_, &scheduler_, &effects_);
  if (!status.ok()) EndStage(*needing, status);
}

void JobRun::PrepareStages() {
  for (const NodeId id : ids_) {
    Stage& one = stage(id);
    if (one.state != State::kAwaiting) continue;
    effect::PrepareStage prepare{id};
    if (!is_gang(id)) {
      if (agents_.AwaitsEarlier()) {
        if (stop_requests_ > 0) {
          EndStage(id, Stopped("it has not begun"));
        } else if (!failure_.ok()) {
          EndStage(id, Aborted("another stage has failed"));
        }
        continue;
      }
      // What they have made is removed.
      agents_.EndLost(&effects_);
      for (const StatedLease& lease : agents_.StatedLeases()) {
        if (lease.fingerprint == one.fingerprint) prepare.leases.push_back(lease.fence);
      }
    }
    one.state = State::kPreparing;
    Do(std::move(prepare));
  }
}

void JobRun::GrantTasks() {
  while (scheduler_.CanGrant() && commits_ < kCommitsMax) {
    const uint64_t claim = stage(scheduler_.NextStage()).claim;
    // A lease of an earlier coordinator, which counted for itself, may have the number: the claims
    // of another stage may have come to the same.
    Fence fence{0};
    do {
      fence = TaskFence(claim, ++leases_);
    } while (scheduler_.IsInUse(fence) || agents_.States(fence));
    const Grant grant = scheduler_.GrantNext(fence);
    stage(grant.stage).tasks->OnGrant(grant, &effects_);
  }
}

void JobRun::EndStages() {
  for (const NodeId id : ids_) {
    Stage& one = stage(id);
    if (one.tasks) {
      const std::optional<TaskStage::Ending> end = one.tasks->End();
      if (!end) continue;
      if (!end->how.ok()) {
        EndStage(id, end->how, end->task);
        continue;
      }
      one.tasks.reset();
      scheduler_.Remove(id);
      one.state = State::kInstalling;
      Do(effect::Install{id, {}});
    } else if (one.gang && one.gang->end()) {
      const absl::StatusOr<StageOutcome> end = *one.gang->end();
      one.gang.reset();
      if (!end.ok()) {
        EndStage(id, end.status());
        continue;
      }
      one.state = State::kInstalling;
      Do(effect::Install{id, *end});
    }
  }
}

void JobRun::EndStage(NodeId id, const absl::Status& how, const std::string& task) {
  Stage& one = stage(id);
  if (one.tasks) scheduler_.Remove(id);
  one.tasks.reset();
  one.state = State::kEnded;
  Do(effect::ReleaseStage{id});
  if (absl::IsFailedPrecondition(how) && jobs::ReadsSources(graph_.node(id).kind)) {
    Do(effect::RereadSources{});
  }
  // The name of a task begins with that of its stage; that of the only task is no other.
  const bool is_of_part = !task.empty() && task != label(id);
  // An interrupted stage is no failed one: it goes on from here.
  Do(effect::MoveStage{
      id, absl::IsAborted(how) ? jobs::StageState::kInterrupted : jobs::StageState::kFailed,
      MessageOf(is_of_part ? Annotate(how, task) : how)});
  Fail(Annotate(how, is_of_part ? task : label(id)));
}

void JobRun::Fail(const absl::Status& status) {
  const bool is_first_failure = failure_.ok() || absl::IsAborted(failure_);
  if (failure_.ok() || (is_first_failure && !absl::IsAborted(status))) failure_ = status;
  // What was told to stop ends by itself, and may save something yet.
  if (!absl::IsAborted(status)) AbandonStages(Aborted("another stage has failed"));
}

void JobRun::AbandonStages(const absl::Status& why) {
  for (const NodeId id : ids_) {
    if (stage(id).gang) stage(id).gang->Abandon(why, &effects_);
    if (stage(id).tasks) EndStage(id, why);
  }
}

void JobRun::BeginStages() {
  if (!failure_.ok() || stop_requests_ > 0) return;
  for (const NodeId id : ids_) {
    if (!MayBegin(id)) continue;
    stage(id).state = State::kFinding;
    Do(effect::FindStage{id, stage(id).is_wanted});
  }
}

// Of the stages that another job makes.
void JobRun::LookAgain() {
  for (const NodeId id : ids_) {
    Stage& one = stage(id);
    if (one.state != State::kBlocked) continue;
    if (!failure_.ok() || stop_requests_ > 0) {
      one.state = State::kEnded;
      if (failure_.ok()) Fail(Stopped(label(id) + " is made by " + one.busy_with));
    } else if (now_ms_ - one.looked_ms >= kClaimPollMs && !(is_gang(id) && HasActiveGang())) {
      one.looked_ms = now_ms_;
      one.state = State::kFinding;
      Do(effect::FindStage{id});
    }
  }
}

bool JobRun::MayBegin(NodeId id) const {
  const Stage& one = stage(id);
  if (one.state != State::kWaiting || (one.behind && is_active(*one.behind))) return false;
  const std::vector<NodeId>& inputs = graph_.node(id).inputs;
  if (!std::all_of(inputs.begin(), inputs.end(),
                   [this](NodeId input) { return stage(input).state == State::kMade; })) {
    return false;
  }
  return !is_gang(id) || !HasActiveGang();
}

bool JobRun::HasActiveGang() const {
  return std::any_of(ids_.begin(), ids_.end(), [this](NodeId id) {
    return is_gang(id) && is_active(id) && stage(id).state != State::kBlocked;
  });
}

void JobRun::LeaveWhenIdle() {
  if (state_ == JobState::kChecking && failure_.ok()) return;
  if (state_ == JobState::kChecking || state_ == JobState::kRunning) {
    if (std::any_of(ids_.begin(), ids_.end(), [this](NodeId id) { return is_active(id); })) return;
    const auto waiting = std::find_if(ids_.begin(), ids_.end(), [this](NodeId id) {
      return stage(id).is_wanted && stage(id).state == State::kWaiting;
    });
    if (failure_.ok() && waiting != ids_.end()) {
      failure_ = Stopped(label(*waiting) + " has not begun");
    }
    state_ = JobState::kLeaving;
    agents_.Stop(now_ms_, &effects_);
  }
  if (state_ != JobState::kLeaving || !agents_.MayLeave(now_ms_, stop_requests_)) return;
  agents_.End(&effects_);
  state_ = JobState::kEnded;
  if (cancelled_ && absl::IsAborted(failure_)) {
    failure_ = MakeStatus(absl::StatusCode::kCancelled, "cancelled: " + MessageOf(failure_));
  }
  const bool is_whole = std::all_of(stages_.begin(), stages_.end(),
                                    [](const Stage& one) { return one.state == State::kMade; });
  Do(effect::MoveJob{EndStateOf(failure_, is_whole), failure_});
  end_ = failure_;
}

bool JobRun::is_active(NodeId id) const {
  const State state = stage(id).state;
  return state != State::kWaiting && state != State::kMade && state != State::kLeft &&
         state != State::kEnded;
}

bool JobRun::is_gang(NodeId id) const {
  return jobs::ShapeOf(graph_.node(id).kind) == jobs::StageShape::kGang;
}

GangStage* JobRun::gang(NodeId id) {
  std::optional<GangStage>& gang = stage(id).gang;
  return gang ? &*gang : nullptr;
}

}  // namespace halcyon::coordinator
