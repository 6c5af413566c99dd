// What JobRun does on each kind of event; job_run.cc has what follows after any.
#include <algorithm>
#include <utility>

#include "coordinator/run/job_run.h"

namespace halcyon::coordinator {
namespace {

std::string RefusedResult(const WorkerId& worker, const std::string& task, uint64_t fence) {
  return "refused a message of " + worker.name + " about " + task + ": fence " +
         std::to_string(fence) + " is not the task's present one";
}

}  // namespace

// --- from outside ---

void JobRun::Handle(const event::Tick& tick) {
  agents_.On(tick, now_ms_);
  VoidLeases();
  for (Stage& stage : stages_) {
    if (stage.gang) stage.gang->On(tick, now_ms_, &effects_);
  }
}

void JobRun::Handle(const event::Received& received) {
  const cluster::Message& message = received.message;
  if (agents_.OnMessage(message, &scheduler_, &effects_) || OnTaskMessage(message)) return;
  for (Stage& stage : stages_) {
    if (stage.gang && stage.gang->OnMessage(message, now_ms_, &effects_)) return;
  }
  if (KeepForLater(message)) return;
  Do(effect::LogWarning{"refused a " + std::string(cluster::TypeName(message.body)) + " of " +
                        message.worker.name + ": it is not of this launch"});
  if (!agents_.IsMember(message.worker)) Do(effect::Forget{message.worker});
}

bool JobRun::KeepForLater(const cluster::Message& message) {
  const bool is_known = std::any_of(earlier_.begin(), earlier_.end(), [&](const auto& earlier) {
    return message.worker.incarnation == earlier.second &&
           message.worker.name.starts_with(RankPrefix(earlier.first) + "-");
  });
  if (!is_known || early_.size() >= kEarlyMessagesMax) return false;
  early_.push_back(message);
  return true;
}

// Whether it is one about a task.
bool JobRun::OnTaskMessage(const cluster::Message& message) {
  const WorkerId& worker = message.worker;
  if (const auto* progress = std::get_if<cluster::TaskProgress>(&message.body)) {
    const auto task = scheduler_.Find(progress->task, Fence(progress->fence), worker);
    if (task) stage(task->stage).tasks->OnProgress(*progress, &effects_);
    return true;
  }
  if (const auto* done = std::get_if<cluster::TaskDone>(&message.body)) {
    const auto task = scheduler_.Find(done->task, Fence(done->fence), worker);
    if (!task) {
      Do(effect::LogWarning{RefusedResult(worker, done->task, done->fence)});
      return true;
    }
    ++commits_;
    agents_.DidTask(worker);
    stage(task->stage).tasks->OnDone(*done, task->task, &effects_);
    return true;
  }
  if (const auto* failed = std::get_if<cluster::TaskFailed>(&message.body)) {
    const auto task = scheduler_.Find(failed->task, Fence(failed->fence), worker);
    if (task) {
      stage(task->stage).tasks->OnFailed(*failed, &effects_);
    } else {
      Do(effect::LogWarning{RefusedResult(worker, failed->task, failed->fence)});
    }
    return true;
  }
  return false;
}

void JobRun::Handle(const event::StopRequested& stop) {
  stop_requests_ = stop.requests;
  cancelled_ = stop.cancel;
  for (Stage& stage : stages_) {
    if (stage.tasks) stage.tasks->Stop();
    if (stage.gang) stage.gang->On(stop, now_ms_, &effects_);
  }
}

void JobRun::Handle(const event::Paused& paused) {
  agents_.On(paused, now_ms_);
  for (Stage& stage : stages_) {
    if (stage.gang) stage.gang->On(paused, now_ms_);
  }
}

void JobRun::Handle(const event::Suspected& suspected) {
  bool has_tasks = false;
  for (Stage& stage : stages_) {
    if (stage.gang) stage.gang->On(suspected, &effects_);
    has_tasks = has_tasks || (stage.tasks && stage.tasks->NeedsAgents());
  }
  // While agents have nothing to do, one that hangs does no harm and may recover.
  if (has_tasks) agents_.On(suspected);
}

void JobRun::Handle(const event::Beats& beats) {
  std::vector<WorkerHealth> workers;
  for (Stage& stage : stages_) {
    if (!stage.gang) continue;
    stage.gang->On(beats, now_ms_, &effects_);
    for (WorkerHealth& health : stage.gang->Health()) workers.push_back(std::move(health));
  }
  for (WorkerHealth& health : agents_.On(beats, now_ms_)) workers.push_back(std::move(health));
  if (workers.size() > kWorkersShownMax) workers.resize(kWorkersShownMax);
  Do(effect::ShowWorkers{std::move(workers)});
}

void JobRun::Handle(const event::LauncherEnded& ended) {
  if (GangStage* one = gang(ended.stage)) one->On(ended, now_ms_, &effects_);
}

// --- ends of effects ---

void JobRun::Handle(const event::JobChecked& checked) {
  if (state_ != JobState::kChecking) return;
  if (!checked.status.ok()) return Fail(checked.status);
  state_ = JobState::kRunning;
  BeginStages();
}

void JobRun::Handle(const event::StageFound& found) {
  Stage& one = stage(found.stage);
  if (!one.is_wanted && !(found.found.ok() && found.found->is_made)) {
    one.state = State::kLeft;
    if (found.found.ok()) {
      Do(effect::ShowFingerprint{found.stage, found.found->fingerprint});
    } else {
      Do(effect::LogWarning{MessageOf(found.found.status()), found.stage});
    }
    return BeginStages();  // a gang that was only looked for may let another begin
  }
  if (!found.found.ok()) {
    one.state = State::kEnded;
    Do(effect::ReleaseStage{found.stage});
    return Fail(Annotate(found.found.status(), label(found.stage)));
  }
  one.fingerprint = found.found->fingerprint;
  Do(effect::ShowFingerprint{found.stage, one.fingerprint});
  if (found.found->is_made) {
    one.state = State::kMade;
    Do(effect::MoveStage{found.stage, jobs::StageState::kReused, "reused"});
    return BeginStages();
  }
  const auto same = std::find_if(ids_.begin(), ids_.end(), [&](NodeId id) {
    return id != found.stage && is_active(id) && stage(id).fingerprint == one.fingerprint;
  });
  const bool is_failing = !failure_.ok();
  if (same != ids_.end() || is_failing) {
    if (!is_failing) one.behind = *same;
    one.state = State::kWaiting;
    if (found.found->claim != 0) Do(effect::ReleaseStage{found.stage});
    return;
  }
  if (found.found->claim == 0) return Block(found.stage, found.found->busy_with);
  one.claim = found.found->claim;
  one.why = found.found->why;
  // PrepareStages goes on from here.
  one.state = State::kAwaiting;
  Do(effect::MoveStage{found.stage, jobs::StageState::kRunning, one.why});
  if (!one.busy_with.empty()) {
    Do(effect::Tell{label(found.stage) + ": " + std::exchange(one.busy_with, "") +
                        " has ended or has given it up; this job goes on with it",
                    found.stage});
  }
  Do(effect::Tell{label(found.stage) + ": made, " + one.why, found.stage});
}

void JobRun::Block(NodeId id, const std::string& busy_with) {
  Stage& one = stage(id);
  one.state = State::kBlocked;
  one.looked_ms = now_ms_;
  if (one.busy_with == busy_with) return;
  one.busy_with = busy_with;
  Do(effect::ShowNote{id, "made by " + busy_with});
  Do(effect::Tell{label(id) + ": waits for " + busy_with + ", which makes it", id});
  BeginStages();  // a gang that gives way may let another begin
}

void JobRun::Handle(const event::StagePrepared& prepared) {
  if (!prepared.prepared.ok()) return EndStage(prepared.stage, prepared.prepared.status());
  if (!failure_.ok()) return EndStage(prepared.stage, Aborted("another stage has failed"));
  Run(prepared.stage, *prepared.prepared);
}

void JobRun::Run(NodeId id, PreparedStage prepared) {
  Stage& one = stage(id);
  one.state = State::kRunning;
  if (is_gang(id)) {
    one.gang.emplace(id, label(id), std::move(prepared),
                     GangLimits{.ranks = limits_.ranks,
                                .ranks_min = limits_.ranks_min,
                                .places_ranks = limits_.places_ranks,
                                .restarts_max = limits_.restarts_max,
                                .hang = limits_.hang},
                     &effects_);
    if (stop_requests_ > 0) {
      one.gang->On(event::StopRequested{stop_requests_}, now_ms_, &effects_);
    }
    // From here on the stage itself says which are of its launch.
    earlier_.erase(label(id));
    for (const cluster::Message& message : std::exchange(early_, {})) {
      Handle(event::Received{message});
    }
  } else {
    const StageTasks tasks = prepared.tasks;
    one.tasks.emplace(id, label(id), std::move(prepared), &scheduler_, &warnings_seen_, &effects_);
    AdoptLeases(id, tasks);
    if (stop_requests_ > 0) one.tasks->Stop();
  }
}

void JobRun::Handle(const event::Ingested& ingested) {
  --commits_;
  if (stage(ingested.stage).tasks) stage(ingested.stage).tasks->On(ingested, &effects_);
}

void JobRun::Handle(const event::LaunchPrepared& prepared) {
  if (GangStage* one = gang(prepared.stage)) one->On(prepared, now_ms_, &effects_);
}

void JobRun::Handle(const event::Adopted& adopted) {
  if (GangStage* one = gang(adopted.stage)) one->On(adopted, now_ms_, &effects_);
}

void JobRun::Handle(const event::LeaseLost& lost) {
  if (state_ == JobState::kEnded) return;
  // What this job's other coordinator has adopted must not be ended from here. Another job adopts
  // nothing, and whatever these workers still made would not be taken.
  if (!lost.of_job) {
    Fail(lost.status);
    return AbandonStages(lost.status);
  }
  Do(effect::LeaveWorkers{});
  state_ = JobState::kEnded;
  end_ = lost.status;
}

void JobRun::Handle(const event::Launched& launched) {
  if (GangStage* one = gang(launched.stage)) one->On(launched, now_ms_, &effects_);
}

void JobRun::Handle(const event::LaunchWaits& waits) {
  if (GangStage* one = gang(waits.stage)) one->On(waits, &effects_);
}

void JobRun::Handle(const event::RoomChecked& checked) {
  if (GangStage* one = gang(checked.stage)) one->On(checked, &effects_);
}

void JobRun::Handle(const event::RanksEnded& ended) {
  if (GangStage* one = gang(ended.stage)) one->On(ended, now_ms_, &effects_);
}

void JobRun::Handle(const event::Installed& installed) {
  if (!installed.warning.ok()) return EndStage(installed.stage, installed.warning.status());
  Stage& one = stage(installed.stage);
  one.state = State::kMade;
  if (!installed.warning->empty())
    Do(effect::Tell{"warning: " + *installed.warning, installed.stage});
  Do(effect::MoveStage{installed.stage, jobs::StageState::kDone, one.why});
  BeginStages();
}

void JobRun::Handle(const event::Broken& broken) {
  for (const NodeId id : ids_) {
    if (stage(id).tasks) return EndStage(id, broken.status);
    if (stage(id).gang) return stage(id).gang->Abandon(broken.status, &effects_);
  }
  Fail(broken.status);
}

}  // namespace halcyon::coordinator
