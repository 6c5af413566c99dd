#include "coordinator/run/gang_stage.h"

#include <utility>
#include <vector>

#include "cluster/coordinator_link.h"
#include "cluster/outputs.h"
#include "coordinator/job_status.h"
#include "coordinator/processes/child_end.h"
#include "coordinator/run/scheduler.h"
#include "coordinator/run/task_stage.h"

namespace halcyon::coordinator {
namespace {

// A rank's last message may come after its exit: without a message for so long, no more are
// expected.
constexpr int64_t kQuietMs = 500;
constexpr int64_t kRoomIntervalMs = 1000;

}  // namespace

cluster::Body GangStage::StopMessage() { return cluster::Stop{"the job was told to stop"}; }

std::string RankPrefix(const std::string& label) { return label + "-rank"; }

GangStage::GangStage(NodeId id, std::string label, PreparedStage prepared, const GangLimits& limits,
                     Effects* effects)
    : id_(id),
      label_(std::move(label)),
      assignment_(std::move(prepared.assignment)),
      claim_(assignment_.claim),
      newest_step_(prepared.newest_step),
      budget_(limits.restarts_max),
      plan_(limits.ranks, limits.ranks_min > 0 ? limits.ranks_min : limits.ranks),
      places_ranks_(limits.places_ranks),
      watch_(limits.hang) {
  if (prepared.earlier_gang) {
    AdoptGang(*prepared.earlier_gang, effects);
  } else {
    PrepareLaunch(effects);
  }
}

void GangStage::AdoptGang(const EarlierGang& gang, Effects* effects) {
  assignment_.claim = gang.claim;
  assignment_.launch = gang.launch;
  launch_.is_adopted = true;
  launch_.ranks_wanted = static_cast<size_t>(gang.ranks);
  watch_.Begin(ranks_wanted());
  state_ = State::kAdopting;
  effects->push_back(effect::AdoptGang{id_, gang.launch});
}

void GangStage::On(const event::Adopted& adopted, int64_t now_ms, Effects* effects) {
  if (state_ != State::kAdopting) return;
  if (!adopted.status.ok()) {
    effects->push_back(effect::LogInfo{label_ + ": " + MessageOf(adopted.status)});
    if (!fatal_.ok()) return End(fatal_);
    return PrepareLaunch(effects);
  }
  state_ = State::kRunning;
  launch_.launched_ms = launch_.last_message_ms = now_ms;
  effects->push_back(
      effect::Tell{label_ + ": the ranks that the earlier coordinator launched go on", id_});
  if (!fatal_.ok()) Kill(fatal_, effects);
}

void GangStage::PrepareLaunch(Effects* effects) {
  assignment_.claim = claim_;
  // Above an adopted launch, too: its number names its ranks.
  ++assignment_.launch;
  launch_ = Launch();
  launch_.ranks_wanted = static_cast<size_t>(plan_.ranks());
  watch_.Begin(ranks_wanted());
  state_ = State::kPreparing;
  effects->push_back(effect::PrepareLaunch{id_, assignment_.launch});
}

void GangStage::On(const event::LaunchPrepared& prepared, int64_t now_ms, Effects* effects) {
  if (!prepared.status.ok()) return End(prepared.status);
  if (!fatal_.ok()) return End(fatal_);
  if (stop_requests_ > 0) return End(StoppedGang(Aborted("not launched"), newest_step_));
  state_ = State::kStarting;
  effects->push_back(effect::Launch{id_, assignment_.launch, assignment_.claim,
                                    assignment_.fingerprint, plan_.ranks(),
                                    plan_.ExcludedAt(now_ms)});
}

void GangStage::On(const event::Launched& launched, int64_t now_ms, Effects* effects) {
  if (!launched.status.ok()) {
    launch_.failure = launched.status;
    return EndRanks(effects);
  }
  if (launch_.waits) effects->push_back(effect::ShowNote{id_, ""});
  launch_.waits = false;
  state_ = State::kRunning;
  launch_.launched_ms = launch_.last_message_ms = now_ms;
}

void GangStage::On(const event::LaunchWaits& waits, Effects* effects) {
  if (state_ != State::kStarting || waits.launch != assignment_.launch || launch_.killed) return;
  launch_.waits = true;
  if (stop_requests_ > 0) return Kill(Aborted("not launched"), effects);
  effects->push_back(effect::ShowNote{id_, std::string(kWaitsNote) + waits.waits_for});
  effects->push_back(effect::Tell{label_ + ": " + std::string(kWaitsNote) + waits.waits_for, id_});
}

// Kills a gang that does not come up, or does not end.
void GangStage::On(const event::Tick&, int64_t now_ms, Effects* effects) {
  if (state_ == State::kDraining) return EndWhenQuiet(now_ms, effects);
  if (state_ == State::kWaiting && now_ms >= launch_after_ms_) return PrepareLaunch(effects);
  if (state_ != State::kRunning || launch_.killed) return;
  if (!all_came_up() && now_ms - launch_.launched_ms > kGangStartMsMax) {
    return Kill(Unavailable("only " + std::to_string(launch_.came_up) + " of " +
                            std::to_string(ranks_wanted()) + " ranks came up in " +
                            std::to_string(kGangStartMsMax / 1000) + " s"),
                effects);
  }
  if (launch_.failed_ms && now_ms - *launch_.failed_ms > kGangEndMsMax) {
    return Kill(Unavailable("the other ranks did not end"), effects);
  }
  if (!all_came_up() && now_ms - launch_.room_checked_ms >= kRoomIntervalMs) {
    launch_.room_checked_ms = now_ms;
    effects->push_back(effect::CheckRoom{id_});
  }
}

void GangStage::On(const event::RoomChecked& checked, Effects* effects) {
  if (state_ != State::kRunning || all_came_up() || launch_.killed) return;
  if (absl::IsResourceExhausted(checked.status)) Kill(checked.status, effects);
}

void GangStage::On(const event::Suspected& suspected, Effects* effects) {
  if (state_ != State::kRunning || !launch_.ranks.contains(suspected.worker)) return;
  KillForNode(suspected.worker.name + " " + suspected.why + watch_.WhySilent(suspected.worker),
              watch_.HostOf(suspected.worker), effects);
  effects->push_back(effect::Forget{suspected.worker});
}

void GangStage::On(const event::Beats& beats, int64_t now_ms, Effects* effects) {
  if (state_ != State::kRunning) return;
  watch_.Take(beats.beats);
  for (const std::string& slow : watch_.TakeSlow()) {
    effects->push_back(effect::Tell{"warning: " + label_ + ": " + slow, id_, /*is_logged=*/true});
    effects->push_back(effect::LogWarning{label_ + ": " + slow, id_});
  }
  if (launch_.killed || launch_.failed_ms || IsPausedAt(now_ms)) return;
  if (const auto hang = watch_.FindHang()) KillForNode(hang->why, hang->host, effects);
}

std::vector<WorkerHealth> GangStage::Health() const {
  return state_ == State::kRunning ? watch_.Health() : std::vector<WorkerHealth>();
}

void GangStage::On(const event::Paused&, int64_t now_ms) {
  // This process could not act during the pause, so the time limits start anew.
  launch_.paused_ms = launch_.launched_ms = now_ms;
  if (launch_.failed_ms) launch_.failed_ms = now_ms;
}

void GangStage::On(const event::StopRequested& stop, int64_t now_ms, Effects* effects) {
  const bool is_first = stop_requests_ == 0 && stop.requests > 0;
  stop_requests_ = stop.requests;
  if (state_ == State::kDraining) return EndWhenQuiet(now_ms, effects);
  if (state_ == State::kWaiting && stop_requests_ > 0) {
    return End(StoppedGang(Aborted("not launched"), newest_step_));
  }
  if (state_ != State::kRunning && state_ != State::kStarting) return;
  if (launch_.waits && !launch_.killed) return Kill(Aborted("not launched"), effects);
  if (is_first && !launch_.waits) {
    effects->push_back(effect::Tell{
        "stopping: the ranks finish their step and save it (a second signal ends them at once)",
        id_});
    for (const WorkerId& rank : launch_.ranks) {
      effects->push_back(effect::Send{rank, StopMessage()});
    }
  }
  if (stop_requests_ > 1 && !launch_.killed) {
    Kill(Unavailable("stopped before it had saved"), effects);
  }
}

void GangStage::Abandon(const absl::Status& why, Effects* effects) {
  if (fatal_.ok()) fatal_ = why;
  if (state_ == State::kWaiting) return End(fatal_);
  if ((state_ == State::kRunning || state_ == State::kStarting) && !launch_.killed) {
    Kill(why, effects);
  }
}

void GangStage::Kill(const absl::Status& why, Effects* effects) {
  if (launch_.failure.ok()) launch_.failure = why;
  effects->push_back(effect::LogWarning{label_ + ": killed: " + MessageOf(why), id_});
  launch_.killed = true;
  effects->push_back(effect::KillGang{id_});
}

void GangStage::KillForNode(const std::string& why, const std::string& host, Effects* effects) {
  // The first fault is the cause of those that follow.
  if (launch_.failure.ok()) {
    launch_.is_node_fault = true;
    launch_.fault_host = host;
  }
  Kill(Unavailable(why), effects);
}

void GangStage::On(const event::LauncherEnded& ended, int64_t now_ms, Effects* effects) {
  const bool is_up = state_ == State::kRunning || state_ == State::kStarting;
  if (!is_up || ended.launch != assignment_.launch) return;
  if (launch_.waits) effects->push_back(effect::ShowNote{id_, ""});
  state_ = State::kDraining;
  launch_.has_exited = true;
  launch_.exit_ms = launch_.last_message_ms = now_ms;
  EndWhenQuiet(now_ms, effects);
}

void GangStage::EndWhenQuiet(int64_t now_ms, Effects* effects) {
  // Only messages of this launch prolong the wait, and they only to a point.
  const bool may_come = launch_.ended < ranks_wanted() && stop_requests_ < 2 &&
                        now_ms - launch_.exit_ms < kLastMessagesMsMax &&
                        now_ms - launch_.last_message_ms < kQuietMs;
  if (!may_come) EndRanks(effects);
}

void GangStage::EndRanks(Effects* effects) {
  state_ = State::kEnding;
  for (const WorkerId& rank : launch_.ranks) effects->push_back(effect::Forget{rank});
  effects->push_back(effect::EndRanks{id_, assignment_.launch, stop_requests_ == 0 && fatal_.ok()});
}

void GangStage::End(absl::StatusOr<StageOutcome> how) {
  state_ = State::kEnded;
  end_ = std::move(how);
}

}  // namespace halcyon::coordinator
